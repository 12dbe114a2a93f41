/* Sums in an order that the sizes alone decide. */
#ifndef CUDA_KERNELS_REDUCE_H
#define CUDA_KERNELS_REDUCE_H

#include "cuda/kernels/kernels.h"

/* How many numbers of scratch memory sum_middle_on wants for these sizes. */
LAUNCHER size_t sum_middle_scratch(long outer, long reduced, long inner);
/* y[o][i] (+)= scale * sum over r of x[o][r][i], all of float64 where `wide`, else of float32. */
LAUNCHER int sum_middle_on(CudaStream s, bool wide, const void *x, long outer, long reduced, long inner,
                           double scale, void *y, bool add, void *scratch);
/* g[o][r][i] (+)= scale * dy[o][i], times x[o][r][i] - mean[o][i] unless x is NULL. */
LAUNCHER int spread_on(CudaStream s, long outer, long reduced, long inner, const float *dy, const float *x,
                       const float *mean, float scale, float *g, bool add);
/* y[o][i] = sum over r of (x[o][r][i] - mean[o][i])^2 / divisor */
LAUNCHER int squares_on(CudaStream s, const float *x, const float *mean, long outer, long reduced, long inner,
                        float divisor, float *y);

#endif
