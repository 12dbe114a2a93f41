/* Windows' contents side by side: as ops/bodies_window.h says; of `dtype`, float32 or halves. */
#ifndef CUDA_KERNELS_UNFOLD_H
#define CUDA_KERNELS_UNFOLD_H

#include "cuda/kernels/kernels.h"

struct Frame; /* ops/bodies_window.h */

LAUNCHER int unfold_on(CudaStream s, long images, const struct Frame *f, Dtype dtype, const void *x, void *y);
LAUNCHER int unfold_back_on(CudaStream s, long images, const struct Frame *f, Dtype dtype, const void *dy,
                            void *dx, bool add);

#endif
