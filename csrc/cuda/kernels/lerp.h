/* One tensor drawn towards another, in place. */
#ifndef CUDA_KERNELS_LERP_H
#define CUDA_KERNELS_LERP_H

#include "cuda/kernels/kernels.h"

/* to += share (from - to); both of `dtype`: float32 or halves */
LAUNCHER int lerp_on(CudaStream s, long n, float share, Dtype dtype, void *to, const void *from);

#endif
