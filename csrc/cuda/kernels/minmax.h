/* Extremes and their places, in an order that the sizes alone decide. */
#ifndef CUDA_KERNELS_MINMAX_H
#define CUDA_KERNELS_MINMAX_H

#include "cuda/kernels/kernels.h"

/* How many bytes of scratch memory minmax_on wants. */
LAUNCHER size_t minmax_scratch(Dtype dtype, long outer, long reduced, long inner);
/* y[o][i], unless y is NULL, and place[o][i], from 1: of the largest of x[o][r][i] over r, or of the smallest; the first
 * one of several, or the first that is no number. dtype: float32, float64, uint8, int32 or int64. */
LAUNCHER int minmax_on(CudaStream s, Dtype dtype, bool smallest, const void *x, long outer, long reduced,
                       long inner, void *y, int64_t *place, void *scratch);
/* g[o][place[o][i]][i] += dy[o][i], of float64 where `wide`, else of float32. */
LAUNCHER int place_on(CudaStream s, bool wide, const void *dy, const int64_t *place, long outer, long reduced,
                      long inner, void *g);

#endif
