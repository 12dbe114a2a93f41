/* Filling, adding and converting: a thread has neighbours, which move 16 bytes at a time where memory is aligned. */
#include "cuda/kernels/memory.h"

#include "cuda/kernels/line.h"
#include "cuda/launch.h"

/* ---- filling ---- */

template <class T> static __global__ void fill_kernel(long n, bool aligned, T *to, T unit) {
  constexpr int W = wide_of<T>;
  long i = INDEX * W;
  if (i >= n) return;
  Line<T, W> l;
  for (int k = 0; k < W; k++) l.v[k] = unit;
  line_store(to + i, n - i, aligned && i + W <= n, l);
}

template <class T> static int fill_as(CudaStream s, void *to, const void *unit, long n) {
  T value;
  memcpy(&value, unit, sizeof value);
  LAUNCH(fill_kernel<T>, blocks_for(n, THREADS * wide_of<T>), THREADS, 0, s, n, aligned16(to), (T *)to,
         value);
  return launched("fill");
}

int fill_units(CudaStream s, void *to, const void *unit, size_t bytes, long n) {
  switch (bytes) {
  case 1: return fill_as<uint8_t>(s, to, unit, n);
  case 2: return fill_as<uint16_t>(s, to, unit, n);
  case 4: return fill_as<uint32_t>(s, to, unit, n);
  default: return fill_as<uint64_t>(s, to, unit, n);
  }
}

struct Put {
  uint8_t byte[PUT_BYTES];
};

static __global__ void put_kernel(int n, uint8_t *to, const __grid_constant__ Put from) {
  if ((int)threadIdx.x < n) to[threadIdx.x] = from.byte[threadIdx.x];
}

int put_bytes(CudaStream s, void *to, const void *from, size_t bytes) {
  Put put = {};
  memcpy(put.byte, from, bytes);
  LAUNCH(put_kernel, 1, PUT_BYTES, 0, s, (int)bytes, (uint8_t *)to, put);
  return launched("put");
}

/* ---- adding ---- */

template <class T> static __global__ void accumulate_kernel(long n, bool aligned, T *to, const T *from) {
  constexpr int W = wide_of<T>;
  long i = INDEX * W;
  if (i >= n) return;
  bool whole = aligned && i + W <= n;
  Line<T, W> l = line_load<W>(to + i, n - i, whole), more = line_load<W>(from + i, n - i, whole);
  for (int k = 0; k < W; k++) narrowed(widened(l.v[k]) + widened(more.v[k]), l.v + k);
  line_store(to + i, n - i, whole, l);
}

template <class T> static int accumulate_as(CudaStream s, void *to, const void *from, long n) {
  LAUNCH(accumulate_kernel<T>, blocks_for(n, THREADS * wide_of<T>), THREADS, 0, s, n,
         aligned16(to) && aligned16(from), (T *)to, (const T *)from);
  return launched("accumulate");
}

int accumulate_into(CudaStream s, Dtype dtype, void *to, const void *from, long n) {
  if (!n) return 1;
  return dtype == F64 ? accumulate_as<double>(s, to, from, n)
                      : BY_DTYPE(dtype, accumulate_as, s, to, from, n);
}

template <class S>
static __global__ void widen_kernel(long n, bool aligned, const S *from, float *to, bool add) {
  constexpr int W = wide_of<S>;
  long i = INDEX * W;
  if (i >= n) return;
  bool whole = aligned && i + W <= n;
  Line<S, W> x = line_load<W>(from + i, n - i, whole);
  Line<float, W> y = {};
  if (add) y = line_load<W>(to + i, n - i, whole);
  for (int k = 0; k < W; k++) y.v[k] += widened(x.v[k]);
  line_store(to + i, n - i, whole, y);
}

template <class S> static int widen_as(CudaStream s, const void *from, float *to, long n, bool add) {
  LAUNCH(widen_kernel<S>, blocks_for(n, THREADS * wide_of<S>), THREADS, 0, s, n,
         aligned16(to) && aligned16(from), (const S *)from, to, add);
  return launched("widen");
}

int widen_into(CudaStream s, Dtype from_dtype, const void *from, float *to, long n, bool add) {
  if (!n) return 1;
  return from_dtype == F16 ? widen_as<Half>(s, from, to, n, add) : widen_as<Brain>(s, from, to, n, add);
}

/* ---- converting ---- */

template <class T> static __device__ T widened(T x) { return x; }

/* The number of type T that is nearest (to integers: towards zero, limited to what they hold, NaN as 0). */
template <class T> struct Narrow {
  static __device__ T from(double x, T least, T most) {
    return x != x ? 0 : x <= (double)least ? least : x >= (double)most ? most : (T)x;
  }
  static __device__ T from(int64_t x, T least, T most) {
    return x < (int64_t)least ? least : x > (int64_t)most ? most : (T)x;
  }
};

template <class S> static __device__ void store(float *y, S x) { *y = (float)x; }
template <class S> static __device__ void store(double *y, S x) { *y = (double)x; }
static __device__ void store_limited(uint8_t *y, double x) { *y = Narrow<uint8_t>::from(x, 0, 255); }
static __device__ void store_limited(int32_t *y, double x) {
  *y = Narrow<int32_t>::from(x, INT32_MIN, INT32_MAX);
}
static __device__ void store_limited(int64_t *y, double x) {
  *y = Narrow<int64_t>::from(x, INT64_MIN, INT64_MAX);
}
static __device__ void store_limited(uint8_t *y, int64_t x) { *y = Narrow<uint8_t>::from(x, 0, 255); }
static __device__ void store_limited(int32_t *y, int64_t x) {
  *y = Narrow<int32_t>::from(x, INT32_MIN, INT32_MAX);
}
static __device__ void store_limited(int64_t *y, int64_t x) { *y = x; }

static __device__ double exact(float x) { return x; }
static __device__ double exact(double x) { return x; }
static __device__ int64_t exact(uint8_t x) { return x; }
static __device__ int64_t exact(int32_t x) { return x; }
static __device__ int64_t exact(int64_t x) { return x; }

template <class S> static __device__ void store(uint8_t *y, S x) { store_limited(y, exact(x)); }
template <class S> static __device__ void store(int32_t *y, S x) { store_limited(y, exact(x)); }
template <class S> static __device__ void store(int64_t *y, S x) { store_limited(y, exact(x)); }

template <class S> static __device__ void store(Brain *y, S x) { narrowed((float)x, y); }
template <class S> static __device__ void store(Half *y, S x) { narrowed((float)x, y); }

/* A thread's: 16 bytes of the narrower kind, unless they are too many numbers of the other. */
template <class S, class T>
constexpr int cast_width = 16 / (int)(sizeof(S) < sizeof(T) ? sizeof(S) : sizeof(T)) < 8 ? 4 : 8;

template <class S, class T> static __global__ void cast_kernel(long n, bool aligned, const S *x, T *y) {
  constexpr int W = cast_width<S, T>;
  long i = INDEX * W;
  if (i >= n) return;
  bool whole = aligned && i + W <= n;
  Line<S, W> from = line_load<W>(x + i, n - i, whole);
  Line<T, W> to;
  for (int k = 0; k < W; k++) store(to.v + k, widened(from.v[k]));
  line_store(y + i, n - i, whole, to);
}

template <class S, class T> static void cast_as(CudaStream s, const S *x, void *y, long n) {
  LAUNCH((cast_kernel<S, T>), blocks_for(n, THREADS * cast_width<S, T>), THREADS, 0, s, n,
         aligned16(x) && aligned16(y), x, (T *)y);
}

template <class S> static int cast_from(CudaStream s, const void *from, Dtype dtype, void *to, long n) {
  const S *x = (const S *)from;
  switch (dtype) {
  case F32: cast_as<S, float>(s, x, to, n); break;
  case F64: cast_as<S, double>(s, x, to, n); break;
  case U8: cast_as<S, uint8_t>(s, x, to, n); break;
  case I32: cast_as<S, int32_t>(s, x, to, n); break;
  case I64: cast_as<S, int64_t>(s, x, to, n); break;
  case BF16: cast_as<S, Brain>(s, x, to, n); break;
  case F16: cast_as<S, Half>(s, x, to, n); break;
  default: break;
  }
  return launched("cast");
}

int cast_numbers(CudaStream s, Dtype from_dtype, const void *from, Dtype to_dtype, void *to, long n) {
  if (!n) return 1;
  switch (from_dtype) {
  case F32: return cast_from<float>(s, from, to_dtype, to, n);
  case F64: return cast_from<double>(s, from, to_dtype, to, n);
  case U8: return cast_from<uint8_t>(s, from, to_dtype, to, n);
  case I32: return cast_from<int32_t>(s, from, to_dtype, to, n);
  case I64: return cast_from<int64_t>(s, from, to_dtype, to, n);
  case BF16: return cast_from<Brain>(s, from, to_dtype, to, n);
  case F16: return cast_from<Half>(s, from, to_dtype, to, n);
  default: return 1;
  }
}
