/* Batch normalisation's passes over rows x channels, with the residual and the activation that follow it. A
 * pass is bound by memory, so each reads and writes every number once. Statistics are kept in double. */
#ifndef OPS_BODIES_NORM_H
#define OPS_BODIES_NORM_H

#include "ops/hot.h"

/* Per channel: mean and sum of squared differences from it. */
HOT_DECLARE(void, norm_moments, long rows, long channels, const real *x, double *mean, double *squares);
/* y = act(scale x + shift + residual); residual may be NULL; act: 0 none, 1 ReLU, 2 ReLU6 */
HOT_DECLARE(void, norm_apply, long rows, long channels, const real *x, const real *scale, const real *shift,
            const real *residual, int act, real *y);
/* Per channel, added: sums of dz and of dz (x - mean), dz being dy where the activation lets it through. */
HOT_DECLARE(void, norm_sums, long rows, long channels, const real *x, const real *mean, const real *y,
            const real *dy, int act, double *sum, double *product);
/* dx (+)= scale dz + slope (x - mean) + offset; dr (+)= dz; either may be NULL */
HOT_DECLARE(void, norm_back, long rows, long channels, const real *x, const real *mean, const real *y,
            const real *dy, int act, const real *scale, const real *slope, const real *offset, real *dx,
            bool dx_add, real *dr, bool dr_add);

#ifdef HOT_BODIES
HOT_DEFINE(void, norm_moments, long rows, long channels, const real *restrict x, double *restrict mean,
           double *restrict squares) {
  enum { BLOCK = 256 }; /* channels at a time: the sums stay in the first-level cache */
  for (long at = 0; at < channels; at += BLOCK) {
    long n = channels - at < BLOCK ? channels - at : BLOCK;
    double s[BLOCK] = {0}, q[BLOCK] = {0};
    real m[BLOCK];
    const real *p = x + at;
    for (long r = 0; r + 2 <= rows; r += 2, p += 2 * channels)
      for (long i = 0; i < n; i++) s[i] += (double)p[i] + (double)p[channels + i];
    if (rows & 1)
      for (long i = 0; i < n; i++) s[i] += (double)p[i];
    for (long i = 0; i < n; i++) m[i] = (real)(s[i] / (double)rows);
    p = x + at;
    for (long r = 0; r < rows; r++, p += channels)
      for (long i = 0; i < n; i++) {
        real d = p[i] - m[i];
        q[i] += (double)d * (double)d;
      }
    for (long i = 0; i < n; i++) {
      double off = (double)m[i] - s[i] / (double)rows; /* the rounding of m */
      mean[at + i] = s[i] / (double)rows;
      squares[at + i] = q[i] - (double)rows * off * off;
    }
  }
}

/* The body of a pass once per activation: OPEN says whether the gradient passes at output y. */
#define BY_ACT(...)                                                                                          \
  if (act == 0) {                                                                                            \
    enum { ACT = 0 };                                                                                        \
    __VA_ARGS__                                                                                              \
  } else if (act == 1) {                                                                                     \
    enum { ACT = 1 };                                                                                        \
    __VA_ARGS__                                                                                              \
  } else {                                                                                                   \
    enum { ACT = 2 };                                                                                        \
    __VA_ARGS__                                                                                              \
  }
#define ACTIVATE(v) (ACT == 0 ? (v) : (v) < 0 ? 0 : ACT == 2 && (v) > 6 ? 6 : (v))
#define LET_THROUGH(y, dy)                                                                                   \
  (ACT == 0 ? (dy) : ACT == 1 ? ((y) > 0 ? (dy) : 0) : ((y) > 0 && (y) < 6 ? (dy) : 0))

HOT_DEFINE(void, norm_apply, long rows, long channels, const real *restrict x, const real *restrict scale,
           const real *restrict shift, const real *restrict residual, int act, real *restrict y) {
  BY_ACT(for (long r = 0; r < rows; r++, x += channels, y += channels) {
    if (residual) {
      for (long i = 0; i < channels; i++) {
        real v = x[i] * scale[i] + shift[i] + residual[i];
        y[i] = ACTIVATE(v);
      }
      residual += channels;
    } else
      for (long i = 0; i < channels; i++) {
        real v = x[i] * scale[i] + shift[i];
        y[i] = ACTIVATE(v);
      }
  })
}

HOT_DEFINE(void, norm_sums, long rows, long channels, const real *restrict x, const real *restrict mean,
           const real *restrict y, const real *restrict dy, int act, double *restrict sum,
           double *restrict product) {
  BY_ACT(for (long r = 0; r < rows;
              r++, x += channels, y += channels, dy += channels) for (long i = 0; i < channels; i++) {
    real dz = LET_THROUGH(y[i], dy[i]);
    sum[i] += (double)dz;
    product[i] += (double)(dz * (x[i] - mean[i]));
  })
}

HOT_DEFINE(void, norm_back, long rows, long channels, const real *restrict x, const real *restrict mean,
           const real *restrict y, const real *restrict dy, int act, const real *restrict scale,
           const real *restrict slope, const real *restrict offset, real *restrict dx, bool dx_add,
           real *restrict dr, bool dr_add) {
  BY_ACT(for (long r = 0; r < rows; r++, x += channels, y += channels, dy += channels) {
    if (dx) {
      for (long i = 0; i < channels; i++) {
        real dz = LET_THROUGH(y[i], dy[i]);
        dx[i] = (dx_add ? dx[i] : 0) + (scale[i] * dz + slope[i] * (x[i] - mean[i]) + offset[i]);
      }
      dx += channels;
    }
    if (dr) {
      for (long i = 0; i < channels; i++) dr[i] = (dr_add ? dr[i] : 0) + LET_THROUGH(y[i], dy[i]);
      dr += channels;
    }
  })
}
#endif

#endif
