/* Correlations of features in windows (ops/bodies_correlation.h), and their gradients; all of float32. */
#ifndef CUDA_KERNELS_CORRELATION_H
#define CUDA_KERNELS_CORRELATION_H

#include "cuda/kernels/kernels.h"

struct Correlation; /* ops/bodies_correlation.h */

/* The pyramid: as many levels as the correlation has. */
typedef struct CorrelationLevels {
  const float *at[4];
} CorrelationLevels;

LAUNCHER int correlation_on(CudaStream s, long images, const struct Correlation *g, const float *first,
                            const float *points, const CorrelationLevels *levels, float *y);
LAUNCHER int correlation_first_on(CudaStream s, long images, const struct Correlation *g, const float *points,
                                  const CorrelationLevels *levels, const float *dy, float *dfirst, bool add);
LAUNCHER int correlation_level_on(CudaStream s, long images, const struct Correlation *g, int level,
                                  const float *first, const float *points, const float *dy, float *dlevel,
                                  bool add);

#endif
