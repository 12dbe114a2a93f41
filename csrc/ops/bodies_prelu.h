/* Rectifiers with a slope of their own for each of c channels. Index i is a row of channels. */
#ifndef OPS_BODIES_PRELU_H
#define OPS_BODIES_PRELU_H

#include "ops/hot.h"

struct prelu_forward_args {
  const real *x;
  const real *weight;
  real *y;
  long c;
};

BODY void prelu_forward_body(const struct prelu_forward_args *a, long i) {
  const real *restrict x = a->x + i * a->c, *restrict weight = a->weight;
  real *restrict y = a->y + i * a->c;
  for (long k = 0; k < a->c; k++) y[k] = x[k] > 0 ? x[k] : x[k] * weight[k];
}
HOT_KERNEL(prelu_forward)

struct prelu_backward_args {
  const real *x;
  const real *dy;
  const real *weight;
  real *dx;
  long c;
  bool add;
};

BODY void prelu_backward_body(const struct prelu_backward_args *a, long i) {
  const real *restrict x = a->x + i * a->c;
  const real *restrict dy = a->dy + i * a->c;
  real *restrict dx = a->dx + i * a->c;
  for (long k = 0; k < a->c; k++) {
    real d = x[k] > 0 ? dy[k] : dy[k] * a->weight[k];
    dx[k] = a->add ? dx[k] + d : d;
  }
}
HOT_KERNEL(prelu_backward)

/* What each number adds to the gradient of its weight. */
struct prelu_slope_args {
  const real *x;
  const real *dy;
  real *to;
  long c;
};

BODY void prelu_slope_body(const struct prelu_slope_args *a, long i) {
  const real *restrict x = a->x + i * a->c;
  const real *restrict dy = a->dy + i * a->c;
  real *restrict to = a->to + i * a->c;
  for (long k = 0; k < a->c; k++) to[k] = x[k] > 0 ? 0 : x[k] * dy[k];
}
HOT_KERNEL(prelu_slope)

#endif
