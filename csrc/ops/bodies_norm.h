/* Batch normalisation's passes over rows x channels, with the residual and the activation that follow it. A
 * pass is bound by memory, so each reads and writes every number once. Statistics are kept in double. */
#ifndef OPS_BODIES_NORM_H
#define OPS_BODIES_NORM_H

#include "ops/bodies_math.h"
#include "ops/hot.h"
#include "ops/norm_passes.h"

/* Per channel: mean and sum of squared differences from it (squares may be NULL). */
HOT_DECLARE(void, norm_moments, long rows, long channels, const real *x, double *mean, double *squares);
/* y = act(scale x + shift + residual); residual may be NULL */
HOT_DECLARE(void, norm_apply, long rows, long channels, const real *x, const real *scale, const real *shift,
            const real *residual, Activation act, real *y);
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
    for (long i = 0; i < n; i++) mean[at + i] = s[i] / (double)rows;
    if (!squares) continue;
    p = x + at;
    for (long r = 0; r < rows; r++, p += channels)
      for (long i = 0; i < n; i++) {
        real d = p[i] - m[i];
        q[i] += (double)d * (double)d;
      }
    for (long i = 0; i < n; i++) {
      double off = (double)m[i] - s[i] / (double)rows; /* the rounding of m */
      squares[at + i] = q[i] - (double)rows * off * off;
    }
  }
}

/* What a pass over some rows does, with everything that is the same for all of them known when it is
 * compiled: questions inside the loops keep the compiler from using vectors. given: that is not NULL. */
#define ROWS_FUNCTION static inline __attribute__((always_inline)) void

ROWS_FUNCTION apply_rows(const Activation act, const bool given, long rows, long channels,
                         const real *restrict x, const real *restrict scale, const real *restrict shift,
                         const real *restrict residual, real *restrict y) {
  for (long r = 0; r < rows; r++, x += channels, y += channels) {
    for (long i = 0; i < channels; i++) {
      real v = x[i] * scale[i] + shift[i];
      if (given) v += residual[i];
      y[i] = act == ACT_NONE ? v : act == ACT_SILU ? SILU(v) : v < 0 ? 0 : act == ACT_RELU6 && v > 6 ? 6 : v;
    }
    if (given) residual += channels;
  }
}

/* f once per activation and presence of what may be given */
#define BY_CASE(f, act, given, ...)                                                                          \
  switch (act) {                                                                                             \
  case ACT_NONE: given ? f(ACT_NONE, true, __VA_ARGS__) : f(ACT_NONE, false, __VA_ARGS__); break;            \
  case ACT_RELU: given ? f(ACT_RELU, true, __VA_ARGS__) : f(ACT_RELU, false, __VA_ARGS__); break;            \
  case ACT_RELU6: given ? f(ACT_RELU6, true, __VA_ARGS__) : f(ACT_RELU6, false, __VA_ARGS__); break;         \
  default: given ? f(ACT_SILU, true, __VA_ARGS__) : f(ACT_SILU, false, __VA_ARGS__);                         \
  }                                                                                                          \
  (void)0

HOT_DEFINE(void, norm_apply, long rows, long channels, const real *restrict x, const real *restrict scale,
           const real *restrict shift, const real *restrict residual, Activation act, real *restrict y) {
  BY_CASE(apply_rows, act, residual, rows, channels, x, scale, shift, residual, y);
}

/* dz at channel i: dy times the activation's derivative */
ROWS_FUNCTION gradient_row(const Activation act, const bool given, long n, const real *restrict x,
                           const real *restrict more, const real *restrict dy, const real *restrict scale,
                           const real *restrict shift, real *restrict dz) {
  for (long i = 0; i < n; i++) {
    real d = dy[i], v = x[i] * scale[i] + shift[i];
    if (given) v = act == ACT_SILU ? v + more[i] : more[i];
    if (act == ACT_SILU)
      d *= SILU_SLOPE(v, SIGMOID(v));
    else if (act != ACT_NONE)
      d = v > 0 ? d : 0;
    dz[i] = act == ACT_RELU6 ? (v < 6 ? d : 0) : d;
  }
}

enum {
  NORM_BLOCK = 256
}; /* channels at a time: what lies between the loops stays in the first-level cache */

ROWS_FUNCTION sums_rows(const Activation act, const bool given, long row, long rows, long channels,
                        const NormBack *b, double *restrict sum, double *restrict product) {
  for (long at = 0; at < channels; at += NORM_BLOCK) {
    long n = channels - at < NORM_BLOCK ? channels - at : NORM_BLOCK;
    const real *restrict mean = b->mean + at;
    real dz[NORM_BLOCK];
    for (long r = row; r < row + rows; r++) {
      const real *restrict x = b->x + r * channels + at;
      gradient_row(act, given, n, x, given ? b->given + r * channels + at : x, b->dy + r * channels + at,
                   b->scale + at, b->shift + at, dz);
      for (long i = 0; i < n; i++) {
        sum[at + i] += (double)dz[i];
        product[at + i] += (double)(dz[i] * (x[i] - mean[i]));
      }
    }
  }
}

ROWS_FUNCTION back_rows(const Activation act, const bool given, long row, long rows, long channels,
                        const NormBack *b) {
  for (long r = row; r < row + rows; r++) {
    for (long at = 0; at < channels; at += NORM_BLOCK) {
      long n = channels - at < NORM_BLOCK ? channels - at : NORM_BLOCK, place = r * channels + at;
      const real *restrict x = b->x + place, *restrict mean = b->mean + at, *restrict scale = b->scale + at;
      const real *restrict slope = b->slope + at, *restrict offset = b->offset + at;
      real dz[NORM_BLOCK], *restrict dx = b->dx ? b->dx + place : dz,
                                     *restrict dr = b->dr ? b->dr + place : dz;
      gradient_row(act, given, n, x, given ? b->given + place : x, b->dy + place, scale, b->shift + at, dz);
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

HOT_DEFINE(void, norm_sums, long row, long rows, long channels, const NormBack *b, double *restrict sum,
           double *restrict product) {
  BY_CASE(sums_rows, b->act, b->given, row, rows, channels, b, sum, product);
}

HOT_DEFINE(void, norm_back, long row, long rows, long channels, const NormBack *b) {
  BY_CASE(back_rows, b->act, b->given, row, rows, channels, b);
}
#endif

#endif
