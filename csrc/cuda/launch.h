/* How kernels start: through LAUNCH alone, so that the same source runs on the CPU in tests (tests/cuda has a cuda_runtime.h of its own).
 * C++, for the files of csrc/cuda/kernels. */
#ifndef CUDA_LAUNCH_H
#define CUDA_LAUNCH_H

extern "C" long cuda_launches; /* cuda.h */

#include <cuda_runtime.h>

#ifndef LAUNCH
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                                     \
  cuda_launches++, kernel<<<grid, block, shared, stream>>>(__VA_ARGS__)
/* Shared memory whose size the launch tells. */
#define DYNAMIC_SHARED(type, name)                                                                           \
  extern __shared__ __align__(16) unsigned char dynamic_shared[];                                            \
  type *name = (type *)dynamic_shared
#endif

extern "C" {
#include "core/error.h"
}

#include "backend/each.h"

#include <stdint.h>

enum { THREADS = 256 };

/* Blocks of `threads` that cover n indices. */
static inline unsigned blocks_for(long n, int threads = THREADS) {
  return (unsigned)((n + threads - 1) / threads);
}

/* 1 when the launch before it was taken, else 0 with CUDA's words. */
static inline int launched(const char *what) {
  cudaError_t e = cudaGetLastError();
  return e == cudaSuccess ? 1 : fail("cuda: %s: %s", what, cudaGetErrorString(e));
}

/* The index of a thread among all of a grid of one dimension. */
#define INDEX ((long)blockIdx.x * blockDim.x + threadIdx.x)

static inline bool aligned16(const void *p) { return (uintptr_t)p % 16 == 0; }

#endif
