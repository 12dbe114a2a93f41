/* Sums over the threads of a warp and of a block, for kernels. C++. */
#ifndef CUDA_KERNELS_SUMS_H
#define CUDA_KERNELS_SUMS_H

#include "cuda/launch.h"

static __device__ inline float warp_sum(float v) {
  for (int by = warpSize / 2; by; by /= 2) v += __shfl_xor_sync(~0u, v, by);
  return v;
}

/* Of all THREADS threads of a block, for every one of them; each calls it. */
static __device__ inline float block_sum(float v) {
  __shared__ float part[THREADS / 32];
  v = warp_sum(v);
  __syncthreads(); /* a sum before this one is read */
  if (threadIdx.x % warpSize == 0) part[threadIdx.x / warpSize] = v;
  __syncthreads();
  float total = 0;
  for (int k = 0; k < THREADS / 32; k++) total += part[k];
  return total;
}

#endif
