/* Matrix products: OpenBLAS, cut into blocks of the result for the thread pool. Both precisions from one
 * text. Does not split the inner dimension: a sum is always made by one call,
 * whatever the number of threads. */
#include "backend/gemm.h"

#include "backend/blas.h"
#include "core/error.h"
#include "core/pool.h"

#include <limits.h>

/* Side of a block of the result, so that a block is worth a call; one block when the whole is small. */
static long block_side(long m, long n, long k) { return m * n * k < (1L << 18) ? LONG_MAX / 2 : 256; }
static long blocks(long size, long side) { return size / side + (size % side != 0); }

static int sizes_fit(long m, long n, long k, long lda, long ldb, long ldc) {
  if (m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX)
    return 1;
  return fail("matrix product: expected sizes below 2^31, found %ld x %ld x %ld", m, k, n);
}

static inline int at_least_one(long ld) { return ld < 1 ? 1 : (int)ld; } /* rows of length 0 have stride 0 */

#define GEMM(real, name, cblas)                                                                              \
  typedef struct {                                                                                           \
    const Blas *blas;                                                                                        \
    bool ta, tb;                                                                                             \
    long m, n, k, lda, ldb, ldc, side;                                                                       \
    real alpha, beta;                                                                                        \
    const real *a, *b;                                                                                       \
    real *c;                                                                                                 \
  } name##_job;                                                                                              \
                                                                                                             \
  static int name##_chunk(void *arg, long chunk) {                                                           \
    const name##_job *j = arg;                                                                               \
    long columns = blocks(j->n, j->side);                                                                    \
    long r = chunk / columns * j->side, q = chunk % columns * j->side;                                       \
    long m = j->m - r < j->side ? j->m - r : j->side, n = j->n - q < j->side ? j->n - q : j->side;           \
    j->blas->cblas(CblasRowMajor, j->ta ? CblasTrans : CblasNoTrans, j->tb ? CblasTrans : CblasNoTrans,      \
                   (int)m, (int)n, (int)j->k, j->alpha, j->a + (j->ta ? r : r * j->lda),                     \
                   at_least_one(j->lda), j->b + (j->tb ? q * j->ldb : q), at_least_one(j->ldb), j->beta,     \
                   j->c + r * j->ldc + q, (int)j->ldc);                                                      \
    return 1;                                                                                                \
  }                                                                                                          \
                                                                                                             \
  int name(bool ta, bool tb, long m, long n, long k, real alpha, const real *a, long lda, const real *b,     \
           long ldb, real beta, real *c, long ldc) {                                                         \
    if (m == 0 || n == 0) return 1;                                                                          \
    const Blas *library = blas();                                                                            \
    if (!library || !sizes_fit(m, n, k, lda, ldb, ldc)) return 0;                                            \
    name##_job j = {library, ta, tb, m, n, k, lda, ldb, ldc, block_side(m, n, k), alpha, beta, a, b, c};     \
    return parallel(blocks(m, j.side) * blocks(n, j.side), name##_chunk, &j);                                \
  }

GEMM(float, gemm_f32, sgemm)
GEMM(double, gemm_f64, dgemm)
