/* Rows of `real` numbers, eight at a time: dot products and sums of rows that the compiler turns into vectors
 * at any optimisation level. The order of additions is fixed, so results do not depend on the instruction
 * set's width. */
#ifndef OPS_LANES_H
#define OPS_LANES_H

#include "ops/real.h"

typedef real Lanes __attribute__((vector_size(8 * sizeof(real)), aligned(sizeof(real)), may_alias));

static inline real row_dot(const real *a, const real *b, long n) {
  Lanes s = {0};
  long i = 0;
  for (; i + 8 <= n; i += 8) s += *(const Lanes *)(a + i) * *(const Lanes *)(b + i);
  real sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* y += scale · x */
static inline void row_add(real *y, const real *x, real scale, long n) {
  long i = 0;
  for (; i + 8 <= n; i += 8) *(Lanes *)(y + i) += *(const Lanes *)(x + i) * scale;
  for (; i < n; i++) y[i] += scale * x[i];
}

#endif
