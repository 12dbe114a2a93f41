/* Sums in an order that the sizes alone decide. */
#ifndef CUDA_KERNELS_REDUCE_H
#define CUDA_KERNELS_REDUCE_H

#include "cuda/kernels/kernels.h"

/* What sum_middle_on wants for these sizes: numbers of scratch memory, float32 or where x is such float64, and counters
 * (kernels/last.h). */
typedef struct SumRoom {
  size_t numbers;
  long counters;
} SumRoom;
LAUNCHER SumRoom sum_middle_room(Dtype from, long outer, long reduced, long inner);
/* y[o][i] (+)= scale * sum over r of x[o][r][i]; x of dtype `from`, y of the same, or one
 * of both of float32. */
LAUNCHER int sum_middle_on(CudaStream s, Dtype from, const void *x, long outer, long reduced, long inner,
                           double scale, Dtype to, void *y, bool add, void *scratch, unsigned *counters);
/* g[o][r][i] (+)= scale * dy[o][i], times x[o][r][i] - mean[o][i] unless x is NULL; g, dy and x of `dtype`. */
LAUNCHER int spread_on(CudaStream s, Dtype dtype, long outer, long reduced, long inner, const void *dy,
                       const void *x, const float *mean, float scale, void *g, bool add);
/* y[o][i] = sum over r of (x[o][r][i] - mean[o][i])^2 / divisor; x and y of `dtype` */
LAUNCHER int squares_on(CudaStream s, Dtype dtype, const void *x, const float *mean, long outer, long reduced,
                        long inner, float divisor, void *y);

#endif
