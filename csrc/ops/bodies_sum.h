/* Sums of long vectors, in double, with as many independent partial sums as vector registers like. */
#ifndef OPS_BODIES_SUM_H
#define OPS_BODIES_SUM_H

#include "ops/hot.h"

/* sum of x[0 .. n-1] */
HOT_DECLARE(double, sum_row, long n, const real *x);
/* acc[i] += sum over r of x[r * stride + i], for i < columns */
HOT_DECLARE(void, sum_rows, long rows, long columns, long stride, const real *x, double *acc);
/* sum of (x - mean)^2 */
HOT_DECLARE(double, square_row, long n, const real *x, double mean);

#ifdef HOT_BODIES
enum { SUMS = 16 };

static inline double sums_total(const double *s) {
  double t = 0;
  for (int k = 0; k < SUMS; k++) t += s[k];
  return t;
}

HOT_DEFINE(double, sum_row, long n, const real *restrict x) {
  double s[SUMS] = {0};
  long i = 0;
  for (; i + SUMS <= n; i += SUMS)
    for (int k = 0; k < SUMS; k++) s[k] += (double)x[i + k];
  for (int k = 0; i < n; i++, k++) s[k] += (double)x[i];
  return sums_total(s);
}

HOT_DEFINE(double, square_row, long n, const real *restrict x, double mean) {
  double s[SUMS] = {0};
  long i = 0;
  for (; i + SUMS <= n; i += SUMS)
    for (int k = 0; k < SUMS; k++) {
      double d = (double)x[i + k] - mean;
      s[k] += d * d;
    }
  for (int k = 0; i < n; i++, k++) {
    double d = (double)x[i] - mean;
    s[k] += d * d;
  }
  return sums_total(s);
}

HOT_DEFINE(void, sum_rows, long rows, long columns, long stride, const real *restrict x,
           double *restrict acc) {
  long r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * stride)
    for (long i = 0; i < columns; i++)
      acc[i] +=
          ((double)x[i] + (double)x[stride + i]) + ((double)x[2 * stride + i] + (double)x[3 * stride + i]);
  for (; r < rows; r++, x += stride)
    for (long i = 0; i < columns; i++) acc[i] += (double)x[i];
}
#endif

#endif
