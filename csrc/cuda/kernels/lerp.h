/* One tensor drawn towards another, in place. */
#ifndef CUDA_KERNELS_LERP_H
#define CUDA_KERNELS_LERP_H

#include "cuda/kernels/kernels.h"

/* to += share (from - to) */
LAUNCHER int lerp_on(CudaStream s, long n, float share, float *to, const float *from);

#endif
