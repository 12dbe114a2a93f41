/* Filling, adding and converting, a thread an element. */
#include "cuda/kernels/memory.h"

#include "cuda/kernels/half.h"
#include "cuda/launch.h"

/* ---- filling ---- */

template <class T> static __global__ void fill_kernel(long n, T *to, T unit) {
  long i = INDEX;
  if (i < n) to[i] = unit;
}

template <class T> static int fill_as(CudaStream s, void *to, const void *unit, long n) {
  T value;
  memcpy(&value, unit, sizeof value);
  LAUNCH(fill_kernel<T>, blocks_for(n), THREADS, 0, s, n, (T *)to, value);
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

template <class T> static __global__ void accumulate_kernel(long n, T *to, const T *from) {
  long i = INDEX;
  if (i < n) narrowed(widened(to[i]) + widened(from[i]), to + i);
}

template <class T> static int accumulate_as(CudaStream s, void *to, const void *from, long n) {
  LAUNCH(accumulate_kernel<T>, blocks_for(n), THREADS, 0, s, n, (T *)to, (const T *)from);
  return launched("accumulate");
}

int accumulate_into(CudaStream s, Dtype dtype, void *to, const void *from, long n) {
  if (!n) return 1;
  return dtype == F64 ? accumulate_as<double>(s, to, from, n)
                      : BY_DTYPE(dtype, accumulate_as, s, to, from, n);
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

template <class S, class T> static __global__ void cast_kernel(long n, const S *x, T *y) {
  long i = INDEX;
  if (i < n) store(y + i, widened(x[i]));
}

template <class S> static int cast_from(CudaStream s, const void *from, Dtype dtype, void *to, long n) {
  unsigned blocks = blocks_for(n);
  const S *x = (const S *)from;
  switch (dtype) {
  case F32: LAUNCH((cast_kernel<S, float>), blocks, THREADS, 0, s, n, x, (float *)to); break;
  case F64: LAUNCH((cast_kernel<S, double>), blocks, THREADS, 0, s, n, x, (double *)to); break;
  case U8: LAUNCH((cast_kernel<S, uint8_t>), blocks, THREADS, 0, s, n, x, (uint8_t *)to); break;
  case I32: LAUNCH((cast_kernel<S, int32_t>), blocks, THREADS, 0, s, n, x, (int32_t *)to); break;
  case I64: LAUNCH((cast_kernel<S, int64_t>), blocks, THREADS, 0, s, n, x, (int64_t *)to); break;
  case BF16: LAUNCH((cast_kernel<S, Brain>), blocks, THREADS, 0, s, n, x, (Brain *)to); break;
  case F16: LAUNCH((cast_kernel<S, Half>), blocks, THREADS, 0, s, n, x, (Half *)to); break;
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
