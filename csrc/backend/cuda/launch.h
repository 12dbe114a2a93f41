/* How kernels of backend/each.h start on a device. C++, for nvcc alone. */
#ifndef BACKEND_CUDA_LAUNCH_H
#define BACKEND_CUDA_LAUNCH_H

extern "C" {
#include "core/error.h"
}

/* kernel(i) for i in 0 .. n-1 on the stream; does not wait. 1, or 0 with CUDA's message. */
template <typename Args>
static int launch(void (*kernel)(long, Args), cudaStream_t stream, long n, Args args) {
  const int threads = 256;
  if (n <= 0) return 1;
  kernel<<<(unsigned)((n + threads - 1) / threads), threads, 0, stream>>>(n, args);
  cudaError_t e = cudaGetLastError();
  return e == cudaSuccess ? 1 : fail("cuda: %s", cudaGetErrorString(e));
}

#endif
