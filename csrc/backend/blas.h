/* OpenBLAS as this library uses it: one thread per call (our pool makes the parallelism), kernels that fit
 * the CPU, buffers that are there before they are needed. Opened at run time, at the start:
 * what its own start depends on can then be set, and its absence is an error of the call that wants it. */
#ifndef BACKEND_BLAS_H
#define BACKEND_BLAS_H

#include <cblas.h>
#include <stddef.h>

/* The functions that are used. Fortran's take the hidden lengths of character arguments last. */
typedef struct Blas {
  __typeof__(cblas_sgemm) *sgemm;
  __typeof__(cblas_dgemm) *dgemm;
  void (*dgelqf)(const int *m, const int *n, double *a, const int *lda, double *tau, double *work,
                 const int *lwork, int *info);
  void (*dgesdd)(const char *job, const int *m, const int *n, double *a, const int *lda, double *s, double *u,
                 const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork, int *iwork,
                 int *info, size_t job_length);
  void (*dgetrf)(const int *m, const int *n, double *a, const int *lda, int *pivot, int *info);
  void (*dgetrs)(const char *trans, const int *n, const int *nrhs, const double *a, const int *lda,
                 const int *pivot, double *b, const int *ldb, int *info, size_t trans_length);
  char *(*config)(void), *(*core_name)(void);
} Blas;

/* Opens the library and chooses its kernels by isa_level(); core_start() calls it. */
void blas_start(void);

/* The library, ready for as many calls at once as the pool has threads. NULL with a message when it is
 * missing, multiplies wrongly, or its buffers find no address space. Any thread. */
const Blas *blas(void);

#endif
