/* Softmax, its logarithm and the cross entropy of rows of c numbers, each around the row's largest one, so
 * that nothing overflows. Sums run in SOFTMAX_LANES independent lanes. */
#ifndef OPS_BODIES_SOFTMAX_H
#define OPS_BODIES_SOFTMAX_H

#include "ops/hot.h"

/* y = exp(x) / sum exp(x) of every row; logarithm: x - log sum exp(x) */
HOT_DECLARE(void, rows_softmax, long rows, long c, const real *x, real *y, bool logarithm);
/* dx (+)= y (dy - y . dy); logarithm: dy - exp(y) sum dy */
HOT_DECLARE(void, rows_softmax_back, long rows, long c, const real *y, const real *dy, real *dx, bool add,
            bool logarithm);
/* lse[r] = log sum exp(x[r]) */
HOT_DECLARE(void, rows_log_sum, long rows, long c, const real *x, real *lse);
/* dx[r] (+)= scale (exp(x[r] - lse[r]) - 1 at label[r]), labels from 1; 0 where the label is 0 */
HOT_DECLARE(void, rows_entropy_back, long rows, long c, const real *x, const real *lse, const real *label,
            real scale, real *dx, bool add);

#ifdef HOT_BODIES
#include "ops/bodies_math.h"

enum { SOFTMAX_LANES = 16 };

static inline real row_top(long c, const real *x) {
  real top = c > 0 ? x[0] : 0;
  for (long k = 1; k < c; k++) top = x[k] > top ? x[k] : top;
  return top;
}

static inline real lane_total(real *s) {
  for (int half = SOFTMAX_LANES / 2; half; half /= 2)
    for (int l = 0; l < half; l++) s[l] += s[l + half];
  return s[0];
}

/* The sum of exp(x - top). */
static inline real row_exp_sum(long c, const real *restrict x, real top) {
  real s[SOFTMAX_LANES] = {0};
  long k = 0;
  for (; k + SOFTMAX_LANES <= c; k += SOFTMAX_LANES)
    for (int l = 0; l < SOFTMAX_LANES; l++) s[l] += EXP(x[k + l] - top);
  for (int l = 0; k < c; k++, l++) s[l] += EXP(x[k] - top);
  return lane_total(s);
}

/* The sum of a, each times b (NULL: 1). */
static inline real row_product(long c, const real *restrict a, const real *restrict b) {
  real s[SOFTMAX_LANES] = {0};
  long k = 0;
  for (; k + SOFTMAX_LANES <= c; k += SOFTMAX_LANES)
    for (int l = 0; l < SOFTMAX_LANES; l++) s[l] += a[k + l] * (b ? b[k + l] : 1);
  for (int l = 0; k < c; k++, l++) s[l] += a[k] * (b ? b[k] : 1);
  return lane_total(s);
}

HOT_DEFINE(void, rows_softmax, long rows, long c, const real *restrict x, real *restrict y, bool logarithm) {
  for (long r = 0; r < rows; r++, x += c, y += c) {
    real top = row_top(c, x), sum = row_exp_sum(c, x, top), log_sum = top + LOG(sum), scale = 1 / sum;
    if (logarithm)
      for (long k = 0; k < c; k++) y[k] = x[k] - log_sum;
    else
      for (long k = 0; k < c; k++) y[k] = EXP(x[k] - top) * scale;
  }
}

HOT_DEFINE(void, rows_softmax_back, long rows, long c, const real *restrict y, const real *restrict dy,
           real *restrict dx, bool add, bool logarithm) {
  for (long r = 0; r < rows; r++, y += c, dy += c, dx += c) {
    real along = row_product(c, dy, logarithm ? NULL : y);
    if (logarithm)
      for (long k = 0; k < c; k++) dx[k] = (add ? dx[k] : 0) + (dy[k] - EXP(y[k]) * along);
    else
      for (long k = 0; k < c; k++) dx[k] = (add ? dx[k] : 0) + y[k] * (dy[k] - along);
  }
}

HOT_DEFINE(void, rows_log_sum, long rows, long c, const real *restrict x, real *restrict lse) {
  for (long r = 0; r < rows; r++, x += c) {
    real top = row_top(c, x);
    lse[r] = top + LOG(row_exp_sum(c, x, top));
  }
}

HOT_DEFINE(void, rows_entropy_back, long rows, long c, const real *restrict x, const real *restrict lse,
           const real *restrict label, real scale, real *restrict dx, bool add) {
  for (long r = 0; r < rows; r++, x += c, dx += c) {
    real g = label[r] > 0 ? scale : 0;
    for (long k = 0; k < c; k++) dx[k] = (add ? dx[k] : 0) + (g == 0 ? 0 : g * EXP(x[k] - lse[r]));
    if (label[r] > 0) dx[(long)label[r] - 1] -= g;
  }
}
#endif

#endif
