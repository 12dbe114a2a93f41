/* Windows over channels-last images: their means (average pooling) and their contents side by side (unfold).
 * Index i is a pixel, of the output in forward, of the input in backward; its channels are the inner loop. */
#ifndef OPS_BODIES_WINDOW_H
#define OPS_BODIES_WINDOW_H

#include "ops/hot.h"

#include <string.h>

/* Sizes in elements; rows first, then columns. */
typedef struct Frame {
  long size[2], kernel[2], stride[2], dilation[2], before[2], count[2], c;
  bool pad_counts; /* means: zeros of the padding count as numbers */
} Frame;

/* A window's first place along an axis; it may lie before the image. */
BODY long frame_first(const Frame *f, int axis, long window) {
  return window * f->stride[axis] - f->before[axis];
}

/* The window that has input place `at` under its tap k, or -1: there is none. */
BODY long frame_window(const Frame *f, int axis, long at, long k) {
  long from = at + f->before[axis] - k * f->dilation[axis], window = from / f->stride[axis];
  return from < 0 || from % f->stride[axis] || window >= f->count[axis] ? -1 : window;
}

/* How many of a window's places along an axis lie inside the image (dilation 1). */
BODY long frame_inside(const Frame *f, int axis, long window) {
  long first = frame_first(f, axis, window), end = first + f->kernel[axis];
  return (end < f->size[axis] ? end : f->size[axis]) - (first > 0 ? first : 0);
}

/* What one number of a window counts in its mean. */
BODY real frame_share(const Frame *f, long y, long x) {
  long all = f->pad_counts ? f->kernel[0] * f->kernel[1] : frame_inside(f, 0, y) * frame_inside(f, 1, x);
  return 1 / (real)all;
}

struct avg_pool_forward_args {
  const real *x;
  real *y;
  Frame f;
};

BODY void avg_pool_forward_body(const struct avg_pool_forward_args *a, long i) {
  const Frame *f = &a->f;
  long c = f->c, column = i % f->count[1], row = i / f->count[1] % f->count[0],
       image = i / f->count[1] / f->count[0], top = frame_first(f, 0, row), left = frame_first(f, 1, column);
  real share = frame_share(f, row, column), *restrict y = a->y + i * c;
  for (long k = 0; k < c; k++) y[k] = 0;
  for (long p = top; p < top + f->kernel[0]; p++) {
    if (p < 0 || p >= f->size[0]) continue;
    for (long q = left; q < left + f->kernel[1]; q++) {
      if (q < 0 || q >= f->size[1]) continue;
      const real *restrict x = a->x + ((image * f->size[0] + p) * f->size[1] + q) * c;
      for (long k = 0; k < c; k++) y[k] += x[k] * share;
    }
  }
}
HOT_KERNEL(avg_pool_forward)

struct avg_pool_backward_args {
  const real *dy;
  real *dx;
  bool add;
  Frame f;
};

BODY void avg_pool_backward_body(const struct avg_pool_backward_args *a, long i) {
  const Frame *f = &a->f;
  long c = f->c, column = i % f->size[1], row = i / f->size[1] % f->size[0],
       image = i / f->size[1] / f->size[0];
  real *restrict dx = a->dx + i * c;
  if (!a->add)
    for (long k = 0; k < c; k++) dx[k] = 0;
  for (long p = 0; p < f->kernel[0]; p++) {
    long y = frame_window(f, 0, row, p);
    for (long q = 0; q < f->kernel[1] && y >= 0; q++) {
      long x = frame_window(f, 1, column, q);
      if (x < 0) continue;
      real share = frame_share(f, y, x);
      const real *restrict dy = a->dy + ((image * f->count[0] + y) * f->count[1] + x) * c;
      for (long k = 0; k < c; k++) dx[k] += dy[k] * share;
    }
  }
}
HOT_KERNEL(avg_pool_backward)

struct unfold_forward_args {
  const real *x;
  real *y;
  Frame f;
};

BODY void unfold_forward_body(const struct unfold_forward_args *a, long i) {
  const Frame *f = &a->f;
  long c = f->c, image = i / f->count[1] / f->count[0],
       top = frame_first(f, 0, i / f->count[1] % f->count[0]), left = frame_first(f, 1, i % f->count[1]),
       taps = f->kernel[0] * f->kernel[1];
  for (long t = 0; t < taps; t++) {
    long p = top + t / f->kernel[1] * f->dilation[0], q = left + t % f->kernel[1] * f->dilation[1];
    bool inside = p >= 0 && p < f->size[0] && q >= 0 && q < f->size[1];
    real *restrict y = a->y + (i * taps + t) * c;
    const real *restrict x = inside ? a->x + ((image * f->size[0] + p) * f->size[1] + q) * c : y;
    for (long k = 0; k < c; k++) y[k] = inside ? x[k] : 0;
  }
}
HOT_KERNEL(unfold_forward)

struct unfold_backward_args {
  const real *dy;
  real *dx;
  bool add;
  Frame f;
};

BODY void unfold_backward_body(const struct unfold_backward_args *a, long i) {
  const Frame *f = &a->f;
  long c = f->c, column = i % f->size[1], row = i / f->size[1] % f->size[0],
       image = i / f->size[1] / f->size[0], taps = f->kernel[0] * f->kernel[1];
  real *restrict dx = a->dx + i * c;
  if (!a->add)
    for (long k = 0; k < c; k++) dx[k] = 0;
  for (long t = 0; t < taps; t++) {
    long y = frame_window(f, 0, row, t / f->kernel[1]), x = frame_window(f, 1, column, t % f->kernel[1]);
    if (y < 0 || x < 0) continue;
    const real *restrict dy = a->dy + (((image * f->count[0] + y) * f->count[1] + x) * taps + t) * c;
    for (long k = 0; k < c; k++) dx[k] += dy[k];
  }
}
HOT_KERNEL(unfold_backward)

#endif
