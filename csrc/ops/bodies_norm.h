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

/* What a backward pass over some rows does, with everything that is the same for all of them known when it is
 * compiled: questions inside the loops keep the compiler from using vectors. given: the output y is. */
#define ROWS_FUNCTION static inline __attribute__((always_inline)) void

/* dz at channel i: dy where the activation lets it through */
ROWS_FUNCTION gradient_row(const int act, const bool given, long n, const real *restrict x,
                           const real *restrict y, const real *restrict dy, const real *restrict scale,
                           const real *restrict shift, real *restrict dz) {
  for (long i = 0; i < n; i++) {
    real v = act == 0 ? 1 : given ? y[i] : x[i] * scale[i] + shift[i];
    dz[i] = act == 0 ? dy[i] : act == 1 ? (v > 0 ? dy[i] : 0) : (v > 0 && v < 6 ? dy[i] : 0);
  }
}

enum {
  NORM_BLOCK = 256
}; /* channels at a time: what lies between the loops stays in the first-level cache */

ROWS_FUNCTION sums_rows(const int act, const bool given, long row, long rows, long channels,
                        const NormBack *b, double *restrict sum, double *restrict product) {
  for (long at = 0; at < channels; at += NORM_BLOCK) {
    long n = channels - at < NORM_BLOCK ? channels - at : NORM_BLOCK;
    const real *restrict mean = b->mean + at;
    real dz[NORM_BLOCK];
    for (long r = row; r < row + rows; r++) {
      const real *restrict x = b->x + r * channels + at;
      gradient_row(act, given, n, x, given ? b->y + r * channels + at : x, b->dy + r * channels + at,
                   b->scale + at, given ? x : b->shift + at, dz);
      for (long i = 0; i < n; i++) {
        sum[at + i] += (double)dz[i];
        product[at + i] += (double)(dz[i] * (x[i] - mean[i]));
      }
    }
  }
}

ROWS_FUNCTION back_rows(const int act, const bool given, long row, long rows, long channels,
                        const NormBack *b) {
  for (long r = row; r < row + rows; r++) {
    for (long at = 0; at < channels; at += NORM_BLOCK) {
      long n = channels - at < NORM_BLOCK ? channels - at : NORM_BLOCK, place = r * channels + at;
      const real *restrict x = b->x + place, *restrict mean = b->mean + at, *restrict scale = b->scale + at;
      const real *restrict slope = b->slope + at, *restrict offset = b->offset + at;
      real dz[NORM_BLOCK], *restrict dx = b->dx ? b->dx + place : dz,
                                     *restrict dr = b->dr ? b->dr + place : dz;
      gradient_row(act, given, n, x, given ? b->y + place : x, b->dy + place, scale,
                   given ? x : b->shift + at, dz);
      if (b->dx && b->dx_add)
        for (long i = 0; i < n; i++) dx[i] += scale[i] * dz[i] + slope[i] * (x[i] - mean[i]) + offset[i];
      else if (b->dx)
        for (long i = 0; i < n; i++) dx[i] = scale[i] * dz[i] + slope[i] * (x[i] - mean[i]) + offset[i];
      if (b->dr && b->dr_add)
        for (long i = 0; i < n; i++) dr[i] += dz[i];
      else if (b->dr)
        for (long i = 0; i < n; i++) dr[i] = dz[i];
    }
  }
}

#define BY_CASE(f, ...)                                                                                      \
  if (b->act == 0)                                                                                           \
    f(0, false, __VA_ARGS__);                                                                                \
  else if (b->act == 1)                                                                                      \
    b->y ? f(1, true, __VA_ARGS__) : f(1, false, __VA_ARGS__);                                               \
  else                                                                                                       \
    b->y ? f(2, true, __VA_ARGS__) : f(2, false, __VA_ARGS__)

HOT_DEFINE(void, norm_sums, long row, long rows, long channels, const NormBack *b, double *restrict sum,
           double *restrict product) {
  BY_CASE(sums_rows, row, rows, channels, b, sum, product);
}

HOT_DEFINE(void, norm_back, long row, long rows, long channels, const NormBack *b) {
  BY_CASE(back_rows, row, rows, channels, b);
}
#endif

#endif
