/* EXP, LOG, SQRT, POW, SIGMOID, TANH for the rows of pointwise.def and other bodies: the device's own
 * functions in CUDA, libm's in the float64 build, and in the float32 build branch-free ones that the compiler
 * turns into vector code. Those are within 2 units in the last place over the whole range, infinities and NaN
 * included (POW is libm's but for the exponents 1 and 2). */
#ifndef OPS_BODIES_MATH_H
#define OPS_BODIES_MATH_H

#include "backend/each.h"
#include "ops/real.h"

#include <math.h>
#include <stdint.h>

#if defined ON_CUDA || defined REAL_IS_DOUBLE
#define EXP(x) RM(exp)(x)
#define LOG(x) RM(log)(x)
#define SQRT(x) RM(sqrt)(x)
#define SIGMOID(x) (1 / (1 + RM(exp)(-(x))))
#define TANH(x) RM(tanh)(x)

#else

#define EXP(x) exp_fast(x)
#define LOG(x) log_fast(x)
#define SQRT(x) sqrtf(x)
#define SIGMOID(x) (1 / (1 + exp_fast(-(x))))
#define TANH(x) tanh_fast(x)

typedef union FloatBits {
  float f;
  int32_t i;
} FloatBits;

/* 2^k for -126 <= k <= 127. */
static inline float power_of_two(int32_t k) { return (FloatBits){.i = (k + 127) * (1 << 23)}.f; }

/* e^x = 2^k e^r with |r| <= ln(2)/2, e^r by its Taylor polynomial (remainder 5e-9). The power is applied in
 * two halves, so that results below the normal range and overflow to infinity come out right. */
static inline float exp_fast(float x) {
  float c = x > 89 ? 89 : x < -104 ? -104 : x;
  float magic = 12582912; /* 1.5 * 2^23: adding it leaves the rounded integer in the low bits */
  FloatBits t = {.f = c * 1.44269504f + magic};
  float k = t.f - magic;
  float r = c - k * 0.693359375f;
  r = r + k * 2.12194440e-4f; /* ln 2 in two parts, the first exact */
  float p = 1 / 5040.f;
  p = p * r + 1 / 720.f;
  p = p * r + 1 / 120.f;
  p = p * r + 1 / 24.f;
  p = p * r + 1 / 6.f;
  p = p * r + 0.5f;
  p = p * r + 1;
  p = p * r + 1;
  int32_t n = t.i - 0x4B400000, half = n >> 1;
  float y = p * power_of_two(half) * power_of_two(n - half);
  return x != x ? x : y;
}

/* log x = k ln 2 + 2 artanh(s), s = (m - 1) / (m + 1), sqrt(1/2) <= m < sqrt(2): |s| < 0.172. */
static inline float log_fast(float x) {
  int tiny = x < 1.17549435e-38f;
  FloatBits b = {.f = tiny ? x * 8388608.f : x};
  int32_t k = (b.i - 0x3F3504F3) >> 23;
  FloatBits m = {.i = b.i - k * (1 << 23)};
  float n = (float)k - (tiny ? 23 : 0);
  float f = m.f - 1, s = f / (m.f + 1), z = s * s;
  float p = 2 / 11.f;
  p = p * z + 2 / 9.f;
  p = p * z + 2 / 7.f;
  p = p * z + 2 / 5.f;
  p = p * z + 2 / 3.f;
  /* 2 s = f - s f keeps the leading term exact */
  float y = n * 0.693359375f + (f - s * (f - z * p) - n * 2.12194440e-4f);
  y = x == 0 ? -INFINITY : x < 0 ? NAN : y;
  return x != x || x == INFINITY ? x : y;
}

/* Small x: the continued fraction x / (1 + x^2 / (3 + x^2 / (5 + x^2 / (7 + x^2 / 9)))); others by the
 * exponential. */
static inline float tanh_fast(float x) {
  float a = fabsf(x), z = x * x;
  float small = x / (1 + z / (3 + z / (5 + z / (7 + z / 9))));
  float large = 1 - 2 / (exp_fast(2 * a) + 1);
  return a < 0.6f ? small : x < 0 ? -large : x != x ? x : large;
}

#endif

/* The derivative of x sigmoid(x), given s = sigmoid(x). */
BODY real silu_slope(real x, real s) { return s * (1 + x * (1 - s)); }
#define SILU(x) ((x)*SIGMOID(x))
#define SILU_SLOPE(x, s) silu_slope(x, s)

/* a^b, the common exponents without a call. */
BODY real power(real a, real b) { return b == 2 ? a * a : b == 1 ? a : RM(pow)(a, b); }
#define POW(a, b) power(a, b)

#endif
