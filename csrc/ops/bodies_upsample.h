/* Nearest x2 up-sampling joined with the skip connection's channels, channels-last. Index i is a pixel. */
#ifndef OPS_BODIES_UPSAMPLE_H
#define OPS_BODIES_UPSAMPLE_H

#include "ops/hot.h"

/* y[i] = x at half the position, then skip: cx and cs channels. */
struct upsample_forward_args {
  const real *x;
  const real *skip;
  real *y;
  long w, cx;
  long cs; /* of x */
};

BODY void upsample_forward_body(const struct upsample_forward_args *a, long i) {
  long column = i % (2 * a->w) / 2, row = i / (2 * a->w) / 2; /* row: of all images, one below the other */
  const real *restrict x = a->x + (row * a->w + column) * a->cx;
  const real *restrict skip = a->skip + i * a->cs;
  real *restrict y = a->y + i * (a->cx + a->cs);
  for (long k = 0; k < a->cx; k++) y[k] = x[k];
  y += a->cx;
  for (long k = 0; k < a->cs; k++) y[k] = skip[k];
}
HOT_KERNEL(upsample_forward)

/* dx of pixel i of x: the sum over its four copies. */
struct upsample_backward_args {
  const real *dy;
  real *dx;
  bool add;
  long w, cx, cs;
};

BODY void upsample_backward_body(const struct upsample_backward_args *a, long i) {
  long c = a->cx + a->cs, row = i / a->w, column = i % a->w;
  const real *restrict p = a->dy + (row * 4 * a->w + column * 2) * c;
  const real *restrict q = p + 2 * a->w * c;
  real *restrict dx = a->dx + i * a->cx;
  for (long k = 0; k < a->cx; k++) dx[k] = (a->add ? dx[k] : 0) + ((p[k] + p[c + k]) + (q[k] + q[c + k]));
}
HOT_KERNEL(upsample_backward)

/* dskip of pixel i. */
struct skip_backward_args {
  const real *dy;
  real *dskip;
  bool add;
  long cx, cs;
};

BODY void skip_backward_body(const struct skip_backward_args *a, long i) {
  const real *restrict dy = a->dy + i * (a->cx + a->cs) + a->cx;
  real *restrict dskip = a->dskip + i * a->cs;
  for (long k = 0; k < a->cs; k++) dskip[k] = (a->add ? dskip[k] : 0) + dy[k];
}
HOT_KERNEL(skip_backward)

#endif
