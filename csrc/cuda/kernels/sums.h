/* Sums over the threads of a warp and of a block, for kernels. C++. */
#ifndef CUDA_KERNELS_SUMS_H
#define CUDA_KERNELS_SUMS_H

#include "cuda/launch.h"

template <class T> static __device__ inline T warp_sum(T v) {
  for (int by = warpSize / 2; by; by /= 2) v += __shfl_xor_sync(~0u, v, by);
  return v;
}

/* Of all THREADS threads of a block, for every one of them; each calls it. */
template <class T> static __device__ inline T block_sum(T v) {
  __shared__ T part[THREADS / 32];
  v = warp_sum(v);
  __syncthreads(); /* a sum before this one is read */
  if (threadIdx.x % warpSize == 0) part[threadIdx.x / warpSize] = v;
  __syncthreads();
  T total = 0;
  for (int k = 0; k < THREADS / 32; k++) total += part[k];
  return total;
}

#endif
