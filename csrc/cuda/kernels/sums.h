/* Sums over the threads of a warp and of a block, for kernels. C++. */
#ifndef CUDA_KERNELS_SUMS_H
#define CUDA_KERNELS_SUMS_H

#include "cuda/kernels/team.h"

template <class T> static __device__ inline T warp_sum(T v) { return warp_all(v, 32, Add()); }

/* Of all THREADS threads of a block, for every one of them; each calls it. */
template <class T> static __device__ inline T block_sum(T v) { return block_all(v, Add()); }

#endif
