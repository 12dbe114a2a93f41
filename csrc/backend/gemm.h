/* Matrix products, row-major, on the thread pool: every chunk is one single-threaded OpenBLAS call, and the
 * borders of the chunks depend on m, n, k alone. */
#ifndef BACKEND_GEMM_H
#define BACKEND_GEMM_H

#include <stdbool.h>

/* c = alpha op(a) op(b) + beta c, with c: m x n, op(a): m x k, op(b): k x n; op transposes where ta, tb say
 * so (a is then stored k x m, b n x k). ld*: elements from one stored row to the next, at least the row's
 * length. With beta 0 the old c is not read. Sizes may be 0. Returns 1, or 0 with a message (interrupted,
 * sizes beyond the library's). */
int gemm_f32(bool ta, bool tb, long m, long n, long k, float alpha, const float *a, long lda, const float *b,
             long ldb, float beta, float *c, long ldc);
int gemm_f64(bool ta, bool tb, long m, long n, long k, double alpha, const double *a, long lda,
             const double *b, long ldb, double beta, double *c, long ldc);

#endif
