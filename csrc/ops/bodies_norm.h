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
/* What the backward passes share. The gradient dz is dy where the activation lets it through, as the output y
 * tells; without a residual y is not read but found again from x, by forward's own formula. */
typedef struct NormBack {
  const real *x, *dy, *y;           /* y may be NULL: act(scale x + shift) */
  const real *mean, *scale, *shift; /* a channel each; shift only where y is NULL */
  const real *slope, *offset;       /* a channel each, of norm_back */
  real *dx, *dr;                    /* of norm_back; either may be NULL */
  int act;
  bool dx_add, dr_add;
} NormBack;

/* Per channel, added: sums of dz and of dz (x - mean) over rows from `row` on. */
HOT_DECLARE(void, norm_sums, long row, long rows, long channels, const NormBack *b, double *sum,
            double *product);
/* dx (+)= scale dz + slope (x - mean) + offset; dr (+)= dz */
HOT_DECLARE(void, norm_back, long row, long rows, long channels, const NormBack *b);

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
/* dz at channel i of the current row */
#define DZ LET_THROUGH(y ? y[i] : x[i] * scale[i] + shift[i], dy[i])

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

HOT_DEFINE(void, norm_sums, long row, long rows, long channels, const NormBack *b, double *restrict sum,
           double *restrict product) {
  const real *restrict scale = b->scale, *restrict shift = b->shift, *restrict mean = b->mean;
  int act = b->act;
  BY_ACT(for (long r = row; r < row + rows; r++) {
    const real *restrict x = b->x + r * channels, *restrict dy = b->dy + r * channels;
    const real *restrict y = b->y ? b->y + r * channels : NULL;
    for (long i = 0; i < channels; i++) {
      real dz = DZ;
      sum[i] += (double)dz;
      product[i] += (double)(dz * (x[i] - mean[i]));
    }
  })
}

HOT_DEFINE(void, norm_back, long row, long rows, long channels, const NormBack *b) {
  const real *restrict scale = b->scale, *restrict shift = b->shift, *restrict mean = b->mean;
  const real *restrict slope = b->slope, *restrict offset = b->offset;
  bool dx_add = b->dx_add, dr_add = b->dr_add;
  int act = b->act;
  BY_ACT(for (long r = row; r < row + rows; r++) {
    const real *restrict x = b->x + r * channels, *restrict dy = b->dy + r * channels;
    const real *restrict y = b->y ? b->y + r * channels : NULL;
    real *restrict dx = b->dx ? b->dx + r * channels : NULL;
    real *restrict dr = b->dr ? b->dr + r * channels : NULL;
    if (dx && dr && !dx_add && !dr_add)
      for (long i = 0; i < channels; i++) {
        real dz = DZ;
        dx[i] = scale[i] * dz + slope[i] * (x[i] - mean[i]) + offset[i];
        dr[i] = dz;
      }
    else {
      if (dx)
        for (long i = 0; i < channels; i++)
          dx[i] = (dx_add ? dx[i] : 0) + (scale[i] * DZ + slope[i] * (x[i] - mean[i]) + offset[i]);
      if (dr)
        for (long i = 0; i < channels; i++) dr[i] = (dr_add ? dr[i] : 0) + DZ;
    }
  })
}
#endif

#endif
