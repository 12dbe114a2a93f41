/* Rectifiers with a slope of their own for each of c channels; n numbers, the channels the fastest, of
 * `dtype`: float32 or halves. */
#ifndef CUDA_KERNELS_PRELU_H
#define CUDA_KERNELS_PRELU_H

#include "cuda/kernels/kernels.h"

/* y = x above 0, weight x elsewhere. */
LAUNCHER int prelu_on(CudaStream s, long n, long c, Dtype dtype, const void *x, const float *weight, void *y);
/* dx (+)= dy above 0, weight dy elsewhere, unless dx is NULL; slope: what each number adds to its weight's gradient,
 * unless that is NULL. */
LAUNCHER int prelu_back_on(CudaStream s, long n, long c, Dtype dtype, const void *x, const float *weight,
                           const void *dy, void *dx, bool add, float *slope);

#endif
