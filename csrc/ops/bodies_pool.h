/* Pooling of channels-last images. Index i is a pixel; its channels are the inner loop. */
#ifndef OPS_BODIES_POOL_H
#define OPS_BODIES_POOL_H

#include "ops/hot.h"

#include <math.h>

/* y[i] = max of the window at output pixel i; place: which of the window's pixels that is, row by row. Pixels
 * beyond the border do not take part. */
struct max_pool_forward_args {
  const real *x;
  real *y;
  uint8_t *place;
  long h, w, c, ho, wo, kernel, stride, padding;
};

BODY void max_pool_forward_body(const struct max_pool_forward_args *a, long i) {
  long c = a->c, left = i % a->wo * a->stride - a->padding, top = i / a->wo % a->ho * a->stride - a->padding;
  const real *image = a->x + i / a->wo / a->ho * a->h * a->w * c;
  real *restrict y = a->y + i * c;
  uint8_t *restrict place = a->place + i * c;
  for (long k = 0; k < c; k++) {
    y[k] = -INFINITY;
    place[k] = 0;
  }
  for (long p = 0; p < a->kernel * a->kernel; p++) {
    long row = top + p / a->kernel, column = left + p % a->kernel;
    if (row < 0 || row >= a->h || column < 0 || column >= a->w) continue;
    const real *restrict x = image + (row * a->w + column) * c;
    for (long k = 0; k < c; k++) {
      bool better = (x[k] > y[k]) | (x[k] != x[k]); /* a NaN stays */
      y[k] = better ? x[k] : y[k];
      place[k] = better ? (uint8_t)p : place[k];
    }
  }
}
HOT_KERNEL(max_pool_forward)

/* dx of input pixel i: dy of the windows that chose it. */
struct max_pool_backward_args {
  const real *dy;
  const uint8_t *place;
  real *dx;
  bool add;
  long h, w, c, ho, wo, kernel, stride, padding;
};

BODY void max_pool_backward_body(const struct max_pool_backward_args *a, long i) {
  long c = a->c, column = i % a->w + a->padding, row = i / a->w % a->h + a->padding;
  long image = i / a->w / a->h * a->ho * a->wo;
  real *restrict dx = a->dx + i * c;
  for (long k = 0; k < c && !a->add; k++) dx[k] = 0;
  for (long p = 0; p < a->kernel * a->kernel; p++) {
    long y = row - p / a->kernel, x = column - p % a->kernel;
    if (y < 0 || x < 0 || y % a->stride || x % a->stride || y / a->stride >= a->ho || x / a->stride >= a->wo)
      continue;
    long at = (image + y / a->stride * a->wo + x / a->stride) * c;
    const real *restrict dy = a->dy + at;
    const uint8_t *restrict place = a->place + at;
    for (long k = 0; k < c; k++) dx[k] += place[k] == p ? dy[k] : 0;
  }
}
HOT_KERNEL(max_pool_backward)

/* dx of pixel i: its image's dy (one number per channel) times scale. */
struct global_pool_backward_args {
  const real *dy;
  real *dx;
  real scale;
  bool add;
  long pixels, c;
};

BODY void global_pool_backward_body(const struct global_pool_backward_args *a, long i) {
  const real *restrict dy = a->dy + i / a->pixels * a->c;
  real *restrict dx = a->dx + i * a->c;
  for (long k = 0; k < a->c; k++) dx[k] = (a->add ? dx[k] : 0) + a->scale * dy[k];
}
HOT_KERNEL(global_pool_backward)

#endif
