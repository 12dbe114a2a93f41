/* Rows of c numbers: softmax, its logarithm, the cross entropy, and rows divided by their lengths. Rows
 * are of `dtype`, float32 or halves. */
#ifndef CUDA_KERNELS_SOFTMAX_H
#define CUDA_KERNELS_SOFTMAX_H

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/refuse.h"

/* y = exp(x) / sum exp(x) of every row; logarithm: x - log sum exp(x). */
LAUNCHER int softmax_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, void *y, bool logarithm);
/* dx (+)= y (dy - y . dy); logarithm: dy - exp(y) sum dy. */
LAUNCHER int softmax_back_on(CudaStream s, long rows, long c, Dtype dtype, const void *y, const void *dy,
                             void *dx, bool add, bool logarithm);

/* How many floats of scratch memory entropy_on wants. */
LAUNCHER size_t entropy_scratch(long rows, long c);
/* lse[r] = log sum exp(x[r]); y: the mean of lse[r] - x[r][label[r] - 1] over the rows whose label is not 0, and weight: 1
 * divided by how many these are; both 0 where there are none. Other labels than 0 .. c are refused. */
LAUNCHER int entropy_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, const float *label,
                        float *lse, float *y, float *weight, float *scratch, Refusals refusals);
/* dx[r] (+)= dy weight (exp(x[r] - lse[r]) - 1 at label[r]); 0 where the label is 0, or the call is refused. */
LAUNCHER int entropy_back_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, const float *label,
                             const float *lse, const float *dy, const float *weight, const int32_t *refused,
                             void *dx, bool add);

/* inverse[r] = 1 / max(|x[r]|, 1e-8), y[r] = inverse[r] x[r]. */
LAUNCHER int normalise_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, float *inverse,
                          void *y);
/* dx[r] (+)= inverse[r] (dy[r] - y[r] (y[r] . dy[r])). */
LAUNCHER int normalise_back_on(CudaStream s, long rows, long c, Dtype dtype, const void *x,
                               const float *inverse, const void *dy, void *dx, bool add);

#endif
