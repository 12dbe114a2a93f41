/* Numbers whose kind is known at run time, for kernels of which there are many or which multiply more than they move: all
 * threads take the same branch. C++. */
#ifndef CUDA_KERNELS_NUMBERS_H
#define CUDA_KERNELS_NUMBERS_H

#include "cuda/kernels/pack.h"

struct Numbers {
  void *data;
  Dtype dtype; /* float32 or halves */
};

static inline Numbers numbers_of(const void *data, Dtype dtype) { return {(void *)data, dtype}; }

/* The same from number i on. */
static __host__ __device__ inline Numbers after(const Numbers &n, long i) {
  return {(char *)n.data + i * (n.dtype == F32 ? 4 : 2), n.dtype};
}

static __device__ inline float number_at(const float *p, long i) { return p[i]; }
static __device__ inline float number_at(const Numbers &n, long i) {
  return n.dtype == F32    ? ((const float *)n.data)[i]
         : n.dtype == BF16 ? widened(((const Brain *)n.data)[i])
                           : widened(((const Half *)n.data)[i]);
}

static __device__ inline void put_number(const Numbers &n, long i, float v) {
  if (n.dtype == F32)
    ((float *)n.data)[i] = v;
  else if (n.dtype == BF16)
    narrowed(v, (Brain *)n.data + i);
  else
    narrowed(v, (Half *)n.data + i);
}

/* n[i] (+)= v */
static __device__ inline void add_number(const Numbers &n, long i, float v, bool add) {
  put_number(n, i, (add ? number_at(n, i) : 0) + v);
}

/* Four neighbours, from a place whose number is a multiple of four of aligned memory. */
static __device__ inline float4 four_of(const Pack<4> &v) {
  return make_float4(v.v[0], v.v[1], v.v[2], v.v[3]);
}
static __device__ inline float4 numbers_at(const float *p, long i) { return *(const float4 *)(p + i); }
static __device__ inline float4 numbers_at(const Numbers &n, long i) {
  return n.dtype == F32    ? *(const float4 *)((const float *)n.data + i)
         : n.dtype == BF16 ? four_of(pack_load<4>((const Brain *)n.data + i))
                           : four_of(pack_load<4>((const Half *)n.data + i));
}

static __device__ inline void put_numbers(const Numbers &n, long i, float4 v) {
  Pack<4> p = {{v.x, v.y, v.z, v.w}};
  if (n.dtype == F32)
    *(float4 *)((float *)n.data + i) = v;
  else if (n.dtype == BF16)
    pack_store((Brain *)n.data + i, p);
  else
    pack_store((Half *)n.data + i, p);
}

/* W of n numbers from i on (pack.h). */
template <int W> static __device__ inline Pack<W> load(const Numbers &p, long i, long n, bool whole) {
  return p.dtype == F32    ? load<W>((const float *)p.data, i, n, whole)
         : p.dtype == BF16 ? load<W>((const Brain *)p.data, i, n, whole)
                           : load<W>((const Half *)p.data, i, n, whole);
}

template <int W>
static __device__ inline void store(const Numbers &p, long i, long n, bool whole, const Pack<W> &v) {
  if (p.dtype == F32)
    store((float *)p.data, i, n, whole, v);
  else if (p.dtype == BF16)
    store((Brain *)p.data, i, n, whole, v);
  else
    store((Half *)p.data, i, n, whole, v);
}

/* The nearest number that bfloat16 has. */
static __device__ inline float rounded_bfloat16(float f) {
  Brain b;
  narrowed(f, &b);
  return widened(b);
}

#endif
