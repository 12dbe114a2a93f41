/* The rows of ops/pointwise.def, by their numbers (ops/pointwise_rows.h: UNARY_exp, BINARY_add, COMPARE_lt). */
#ifndef CUDA_KERNELS_POINTWISE_H
#define CUDA_KERNELS_POINTWISE_H

#include "cuda/kernels/kernels.h"

/* Two operands as steps over the output's shape; a step of 0 repeats. */
enum { CUDA_RANK = 8 };
typedef struct Strides {
  int rank;
  long shape[CUDA_RANK], a[CUDA_RANK], b[CUDA_RANK];
} Strides;

/* Numbers of `dtype`: float32 or halves. */
LAUNCHER int unary_forward_on(CudaStream s, int row, long n, Dtype dtype, const void *x, void *y, float p,
                              float q);
LAUNCHER int unary_backward_on(CudaStream s, int row, long n, Dtype dtype, const void *x, const void *y,
                               const void *dy, void *g, bool add, float p, float q);
LAUNCHER int binary_forward_on(CudaStream s, int row, long n, const Strides *w, Dtype dtype, const void *a,
                               const void *b, void *y);
/* The gradient of side 0 (a) or 1 (b), of the output's shape. */
LAUNCHER int binary_backward_on(CudaStream s, int row, int side, long n, const Strides *w, Dtype dtype,
                                const void *a, const void *b, const void *y, const void *dy, void *g,
                                bool add);
/* Operands of one dtype: float32, float64 or int64. */
LAUNCHER int compare_on(CudaStream s, int row, Dtype dtype, long n, const Strides *w, const void *a,
                        const void *b, uint8_t *y);

#endif
