/* Numbers of 16 bits, told apart by their types, and how they become float32 and back: to nearest, ties to even. Where the
 * hardware converts, its instructions do. C++. */
#ifndef CUDA_KERNELS_HALF_H
#define CUDA_KERNELS_HALF_H

#include "cuda/kernels/kernels.h"
#include "cuda/launch.h"

#include <cstring>

struct Brain { /* bfloat16 */
  uint16_t bits;
};
struct Half { /* float16 */
  uint16_t bits;
};

static __device__ inline float float_of_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static __device__ inline uint32_t bits_of_float(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}

/* ---- to float32 ---- */

static __device__ inline double widened(double v) { return v; }
static __device__ inline float widened(float v) { return v; }
static __device__ inline float widened(Brain v) { return float_of_bits((uint32_t)v.bits << 16); }

static __device__ inline float widened(Half v) {
#ifdef __CUDA_ARCH__
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.bits));
  return f;
#else
  uint32_t u = v.bits & 0x7fffu;
  float f = u >= 0x7c00 ? float_of_bits(u << 13 | 0x7f800000) : float_of_bits(u << 13) * 0x1p112f;
  return v.bits >> 15 ? -f : f;
#endif
}

/* ---- and back ---- */

static __device__ inline void narrowed(double f, double *to) { *to = f; }
static __device__ inline void narrowed(float f, float *to) { *to = f; }

static __device__ inline void narrowed(float f, Brain *to) {
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to->bits) : "f"(f));
#else
  uint32_t u = bits_of_float(f);
  to->bits = (uint16_t)(f != f ? u >> 16 | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16);
#endif
}

static __device__ inline void narrowed(float f, Half *to) {
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to->bits) : "f"(f));
#else
  float a = fabsf(f);
  uint32_t sign = bits_of_float(f) >> 16 & 0x8000, u = bits_of_float(a);
  if (f != f)
    to->bits = (uint16_t)(sign | 0x7e00);
  else if (a >= 65520)
    to->bits = (uint16_t)(sign | 0x7c00);
  else if (a < 0x1p-14f) /* below the normal numbers; may round up to the smallest of them */
    to->bits = (uint16_t)(sign | (uint32_t)rintf(a * 0x1p24f));
  else /* a carry of the fraction runs into the exponent, as it should */
    to->bits = (uint16_t)(sign | (((u + 0xfff + (u >> 13 & 1)) >> 13) - (112u << 10)));
#endif
}

/* Two neighbours, the first in the lower half of the word. */
template <class T> static __device__ inline uint32_t narrowed_pair(float low, float high) {
  T a, b;
  narrowed(low, &a);
  narrowed(high, &b);
  return (uint32_t)b.bits << 16 | a.bits;
}

#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 800
template <> __device__ inline uint32_t narrowed_pair<Brain>(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
template <> __device__ inline uint32_t narrowed_pair<Half>(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
#endif

/* call<T>(...) for T of a dtype that is computed with in float32: float, Brain or Half. */
#define BY_DTYPE(dtype, call, ...)                                                                           \
  ((dtype) == BF16  ? call<Brain>(__VA_ARGS__)                                                               \
   : (dtype) == F16 ? call<Half>(__VA_ARGS__)                                                                \
                    : call<float>(__VA_ARGS__))

#endif
