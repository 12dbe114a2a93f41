/* Four neighbours among n numbers, which move at once where the memory is aligned (`whole`). C++. */
#ifndef CUDA_KERNELS_FOUR_H
#define CUDA_KERNELS_FOUR_H

#include "cuda/launch.h"

enum { WIDTH = 4 };

struct Four {
  float v[WIDTH];
};

static __device__ inline Four load(const float *p, long i, long n, bool whole) {
  Four f;
  if (whole) {
    float4 w = *(const float4 *)(p + i);
    f.v[0] = w.x, f.v[1] = w.y, f.v[2] = w.z, f.v[3] = w.w;
  } else {
    for (int k = 0; k < WIDTH; k++) f.v[k] = i + k < n ? p[i + k] : 0;
  }
  return f;
}

static __device__ inline void store(float *p, long i, long n, bool whole, const Four &f) {
  if (whole)
    *(float4 *)(p + i) = make_float4(f.v[0], f.v[1], f.v[2], f.v[3]);
  else
    for (int k = 0; k < WIDTH && i + k < n; k++) p[i + k] = f.v[k];
}

#endif
