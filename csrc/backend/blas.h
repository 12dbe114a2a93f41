/* OpenBLAS as this library uses it: one thread per call (our pool makes the parallelism), kernels that fit
 * the CPU. All of it is set up when the library is loaded, so callers of cblas and LAPACK need no call of
 * their own. */
#ifndef BACKEND_BLAS_H
#define BACKEND_BLAS_H

/* 1 when the products checked at start were right; 0 with a message that names the kernels otherwise. */
int blas_ready(void);

/* "OpenBLAS 0.3.21 (Haswell kernels)": library, version, kernels in use. For `cohesiv info`. */
const char *blas_text(void);

#endif
