/* Pooling of channels-last images of `dtype`, float32 or halves: as ops/bodies_pool.h and ops/bodies_window.h say. */
#ifndef CUDA_KERNELS_POOL_H
#define CUDA_KERNELS_POOL_H

#include "cuda/kernels/kernels.h"

struct Frame; /* ops/bodies_window.h */

typedef struct MaxPool {
  long images, h, w, c, ho, wo, kernel, stride, padding;
} MaxPool;

/* place: which of the window's pixels is the largest. */
LAUNCHER int max_pool_on(CudaStream s, const MaxPool *p, Dtype dtype, const void *x, void *y, uint8_t *place);
LAUNCHER int max_pool_back_on(CudaStream s, const MaxPool *p, Dtype dtype, const void *dy,
                              const uint8_t *place, void *dx, bool add);

LAUNCHER int avg_pool_on(CudaStream s, long images, const struct Frame *f, Dtype dtype, const void *x,
                         void *y);
LAUNCHER int avg_pool_back_on(CudaStream s, long images, const struct Frame *f, Dtype dtype, const void *dy,
                              void *dx, bool add);

#endif
