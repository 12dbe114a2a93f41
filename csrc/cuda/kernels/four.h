/* Four neighbours among n float32 numbers (pack.h). C++. */
#ifndef CUDA_KERNELS_FOUR_H
#define CUDA_KERNELS_FOUR_H

#include "cuda/kernels/pack.h"

enum { WIDTH = 4 };
typedef Pack<WIDTH> Four;

static __device__ inline Four load(const float *p, long i, long n, bool whole) {
  return load<WIDTH>(p, i, n, whole);
}

#endif
