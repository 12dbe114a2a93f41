/* Products of dense matrices: gemm where every matrix lies in one piece. */
#ifndef OPS_DENSE_H
#define OPS_DENSE_H

#include "backend/gemm.h"
#include "ops/real.h"

/* c (+)= op(a) op(b), with c: m x n, op(a): m x k, op(b): k x n. 1, or 0 with a message. */
static inline int dense(bool ta, bool tb, long m, long n, long k, const real *a, const real *b, real *c,
                        bool add) {
  long lda = ta ? m : k, ldb = tb ? k : n;
  return REALNAME(gemm)(ta, tb, m, n, k, 1, a, lda > 0 ? lda : 1, b, ldb > 0 ? ldb : 1, add, c,
                        n > 0 ? n : 1);
}

#endif
