/* W neighbouring numbers as float32, which move at once from and to memory of any kind of number: 16 bytes, four of
 * float32 or eight halves, where memory is aligned. C++. */
#ifndef CUDA_KERNELS_PACK_H
#define CUDA_KERNELS_PACK_H

#include "cuda/kernels/half.h"

/* How many move at once. */
template <class T> constexpr int wide_of = 16 / (int)sizeof(T);

template <int W> struct Pack { float v[W]; };
template <int N> struct alignas(4 * N) Words { uint32_t w[N]; };

template <int W> static __device__ inline Pack<W> pack_of(float all) {
  Pack<W> v;
  for (int k = 0; k < W; k++) v.v[k] = all;
  return v;
}

/* ---- aligned ---- */

template <int W> static __device__ inline Pack<W> pack_load(const float *p) {
  Pack<W> v;
  if constexpr (W == 1) v.v[0] = *p;
#pragma unroll
  for (int k = 0; k + 4 <= W; k += 4) {
    Words<4> four = *(const Words<4> *)(p + k);
    for (int j = 0; j < 4; j++) v.v[k + j] = float_of_bits(four.w[j]);
  }
  return v;
}

template <int W, class T> static __device__ inline Pack<W> pack_load(const T *p) {
  Pack<W> v;
  if constexpr (W == 1) {
    v.v[0] = widened(*p);
  } else {
    Words<W / 2> pairs = *(const Words<W / 2> *)p;
#pragma unroll
    for (int k = 0; k < W; k += 2) {
      v.v[k] = widened(T{(uint16_t)pairs.w[k / 2]});
      v.v[k + 1] = widened(T{(uint16_t)(pairs.w[k / 2] >> 16)});
    }
  }
  return v;
}

template <int W> static __device__ inline void pack_store(float *p, const Pack<W> &v) {
  if constexpr (W == 1) *p = v.v[0];
#pragma unroll
  for (int k = 0; k + 4 <= W; k += 4) {
    Words<4> four;
    for (int j = 0; j < 4; j++) four.w[j] = bits_of_float(v.v[k + j]);
    *(Words<4> *)(p + k) = four;
  }
}

template <int W, class T> static __device__ inline void pack_store(T *p, const Pack<W> &v) {
  if constexpr (W == 1) {
    narrowed(v.v[0], p);
  } else {
    Words<W / 2> pairs;
#pragma unroll
    for (int k = 0; k < W; k += 2) pairs.w[k / 2] = narrowed_pair<T>(v.v[k], v.v[k + 1]);
    *(Words<W / 2> *)p = pairs;
  }
}

/* p (+)= v */
template <int W, class T> static __device__ inline void pack_put(T *p, Pack<W> v, bool add) {
  if (add) {
    Pack<W> old = pack_load<W>(p);
    for (int k = 0; k < W; k++) v.v[k] += old.v[k];
  }
  pack_store(p, v);
}

/* ---- W of n numbers from i on, at once where that may be (`whole`) ---- */

template <int W, class T> static __device__ inline Pack<W> load(const T *p, long i, long n, bool whole) {
  if (whole) return pack_load<W>(p + i);
  Pack<W> v;
  for (int k = 0; k < W; k++) v.v[k] = i + k < n ? widened(p[i + k]) : 0;
  return v;
}

template <int W, class T>
static __device__ inline void store(T *p, long i, long n, bool whole, const Pack<W> &v) {
  if (whole)
    pack_store(p + i, v);
  else
    for (int k = 0; k < W && i + k < n; k++) narrowed(v.v[k], p + i + k);
}

/* ---- the host's side ---- */

/* f(T{}) with the type of a dtype that is computed with in float32. */
template <class F> static inline void with_type(Dtype dtype, F f) {
  switch (dtype) {
  case BF16: return f(Brain{});
  case F16: return f(Half{});
  default: return f(float{});
  }
}
#define TYPE_OF(t) typedef decltype(t) T

static inline bool all_aligned16(std::initializer_list<const void *> list) {
  for (const void *p : list)
    if (!aligned16(p)) return false; /* NULL is */
  return true;
}

#endif
