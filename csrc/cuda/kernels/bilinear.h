/* core/bilinear.h for kernels: a place between four pixels, beyond the border the nearest one's. */
#ifndef CUDA_KERNELS_BILINEAR_H
#define CUDA_KERNELS_BILINEAR_H

#include "cuda/launch.h"

static __device__ inline long clamp_index(long i, long n) { return i < 0 ? 0 : i < n ? i : n - 1; }

/* Of numbers `step` apart, rows of `row` places: (x + fx, y + fy) of width x height. */
static __device__ inline float bilinear_on(const float *p, long step, long x, long y, float fx, float fy,
                                           long width, long height, long row) {
  long left = clamp_index(x, width), right = clamp_index(x + 1, width);
  long above = clamp_index(y, height) * row, below = clamp_index(y + 1, height) * row;
  return (1 - fx) * (1 - fy) * p[(above + left) * step] + fx * (1 - fy) * p[(above + right) * step] +
         (1 - fx) * fy * p[(below + left) * step] + fx * fy * p[(below + right) * step];
}

#endif
