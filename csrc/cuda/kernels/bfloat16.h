/* Numbers of bfloat16 in 16 bits, and weights that may be such, for kernels. C++. */
#ifndef CUDA_KERNELS_BFLOAT16_H
#define CUDA_KERNELS_BFLOAT16_H

#include "cuda/kernels/half.h"

static __device__ inline float from_bfloat16(uint16_t bits) { return float_of_bits((uint32_t)bits << 16); }

/* The nearest number that bfloat16 has, ties to even; NaN stays. */
static __device__ inline float rounded_bfloat16(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return f != f ? f : float_of_bits((u + 0x7fff + (u >> 16 & 1)) & 0xffff0000);
}

struct Weights {
  const void *data;
  bool bfloat16; /* else float32 */
};

static __device__ inline float weight_at(const Weights &w, long i) {
  return w.bfloat16 ? from_bfloat16(((const uint16_t *)w.data)[i]) : ((const float *)w.data)[i];
}

/* Four neighbours, from an aligned place. */
static __device__ inline float4 weights_at(const Weights &w, long i) {
  if (!w.bfloat16) return *(const float4 *)((const float *)w.data + i);
  uint64_t four = *(const uint64_t *)((const uint16_t *)w.data + i);
  return make_float4(from_bfloat16((uint16_t)four), from_bfloat16((uint16_t)(four >> 16)),
                     from_bfloat16((uint16_t)(four >> 32)), from_bfloat16((uint16_t)(four >> 48)));
}

#endif
