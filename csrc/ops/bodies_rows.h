/* Loops over rows of channels that the attention and the losses are made of: products with one vector, outer
 * products, norms. The sum over channels runs in ROW_LANES independent lanes. */
#ifndef OPS_BODIES_ROWS_H
#define OPS_BODIES_ROWS_H

#include "ops/hot.h"

/* y[r] = sum over k of x[r][k] v[k] */
HOT_DECLARE(void, rows_dot, long rows, long c, const real *x, const real *v, real *y);
/* x[r][k] (+)= g[r] v[k] */
HOT_DECLARE(void, rows_outer, long rows, long c, const real *g, const real *v, real *x, bool add);
/* acc[k] += sum over r of g[r] x[r][k] */
HOT_DECLARE(void, rows_gather, long rows, long c, const real *g, const real *x, double *acc);
/* inverse[r] = 1 / max(|x[r]|, 1e-8) */
HOT_DECLARE(void, rows_inverse_norm, long rows, long c, const real *x, real *inverse);
/* y[r] = s[r] x[r] */
HOT_DECLARE(void, rows_scale, long rows, long c, const real *x, const real *s, real *y);
/* dx[r] (+)= s[r] (dy[r] - y[r] (y[r] . dy[r])), y = s x: the gradient of normalisation */
HOT_DECLARE(void, rows_normalise_back, long rows, long c, const real *x, const real *s, const real *dy,
            real *dx, bool add);

#ifdef HOT_BODIES
enum { ROW_LANES = 16 };

static inline real row_dot(long c, const real *restrict x, const real *restrict v) {
  real s[ROW_LANES] = {0}, total = 0;
  long k = 0;
  for (; k + ROW_LANES <= c; k += ROW_LANES)
    for (int l = 0; l < ROW_LANES; l++) s[l] += x[k + l] * v[k + l];
  for (int l = 0; k < c; k++, l++) s[l] += x[k] * v[k];
  for (int half = ROW_LANES / 2; half; half /= 2)
    for (int l = 0; l < half; l++) s[l] += s[l + half];
  total = s[0];
  return total;
}

HOT_DEFINE(void, rows_dot, long rows, long c, const real *restrict x, const real *restrict v,
           real *restrict y) {
  for (long r = 0; r < rows; r++) y[r] = row_dot(c, x + r * c, v);
}

HOT_DEFINE(void, rows_outer, long rows, long c, const real *restrict g, const real *restrict v,
           real *restrict x, bool add) {
  for (long r = 0; r < rows; r++, x += c)
    for (long k = 0; k < c; k++) x[k] = (add ? x[k] : 0) + g[r] * v[k];
}

HOT_DEFINE(void, rows_gather, long rows, long c, const real *restrict g, const real *restrict x,
           double *restrict acc) {
  for (long r = 0; r < rows; r++, x += c) {
    if (g[r] == 0) continue;
    for (long k = 0; k < c; k++) acc[k] += (double)(g[r] * x[k]);
  }
}

HOT_DEFINE(void, rows_inverse_norm, long rows, long c, const real *restrict x, real *restrict inverse) {
  for (long r = 0; r < rows; r++) {
    real n = RM(sqrt)(row_dot(c, x + r * c, x + r * c));
    inverse[r] = 1 / (n < (real)1e-8 ? (real)1e-8 : n);
  }
}

HOT_DEFINE(void, rows_scale, long rows, long c, const real *restrict x, const real *restrict s,
           real *restrict y) {
  for (long r = 0; r < rows; r++, x += c, y += c)
    for (long k = 0; k < c; k++) y[k] = s[r] * x[k];
}

HOT_DEFINE(void, rows_normalise_back, long rows, long c, const real *restrict x, const real *restrict s,
           const real *restrict dy, real *restrict dx, bool add) {
  for (long r = 0; r < rows; r++, x += c, dy += c, dx += c) {
    /* below the smallest norm the scale is a constant */
    real along = s[r] < (real)1e8 ? row_dot(c, x, dy) * s[r] * s[r] : 0;
    for (long k = 0; k < c; k++) dx[k] = (add ? dx[k] : 0) + s[r] * (dy[k] - x[k] * along);
  }
}
#endif

#endif
