/* A thread an element; where all operands have the output's shape, as many as move 16 bytes at once. */
#include "cuda/kernels/where.h"

#include "cuda/kernels/line.h"
#include "cuda/launch.h"

static __global__ void truth_kernel(long n, bool aligned, const double *x, uint8_t *y) {
  constexpr int W = 4;
  long i = INDEX * W;
  if (i >= n) return;
  bool whole = aligned && i + W <= n;
  Line<double, W> from = line_load<W>(x + i, n - i, whole);
  Line<uint8_t, W> to;
  for (int k = 0; k < W; k++) to.v[k] = from.v[k] != 0;
  line_store(y + i, n - i, whole, to);
}

int truth_on(CudaStream s, long n, const double *x, uint8_t *y) {
  if (!n) return 1;
  LAUNCH(truth_kernel, blocks_for(n, THREADS * 4), THREADS, 0, s, n, aligned16(x) && aligned16(y), x, y);
  return launched("where");
}

/* Where the first COUNT operands stand at element i, which counts in 32 bits where that is enough. */
template <int COUNT, class Index> static __device__ inline void offsets(const Choice &w, Index i, Index *at) {
  for (int k = 0; k < COUNT; k++) at[k] = 0;
  for (int d = w.rank - 1; d >= 0; d--) {
    Index n = (Index)w.shape[d], rest = d ? i / n : 0, place = i - rest * n;
    for (int k = 0; k < COUNT; k++) at[k] += place * (Index)w.step[k][d];
    i = rest;
  }
}

template <class T, class Index>
static __global__ void where_kernel(Choice w, const uint8_t *cond, const T *a, const T *b, T *y) {
  if (INDEX >= w.size) return;
  Index i = (Index)INDEX, at[3];
  offsets<3>(w, i, at);
  y[i] = cond[at[0]] ? a[at[1]] : b[at[2]];
}

/* Whether the first `count` operands have the output's shape. */
static bool is_plain(const Choice *w, int count) {
  for (int k = 0; k < count; k++)
    if (w->step[k][0] != 1) return false;
  return w->rank == 1;
}

template <class T>
static __global__ void where_plain_kernel(long n, const uint8_t *cond, const T *a, const T *b, T *y) {
  constexpr int W = wide_of<T>;
  long i = INDEX * W;
  if (i >= n) return;
  bool whole = i + W <= n;
  Line<T, W> fa = line_load<W>(a + i, n - i, whole), fb = line_load<W>(b + i, n - i, whole);
#pragma unroll
  for (int k = 0; k < W; k++)
    if (i + k < n && !cond[i + k]) fa.v[k] = fb.v[k];
  line_store(y + i, n - i, whole, fa);
}

template <class T>
static int where_as(CudaStream s, const Choice *w, const uint8_t *cond, const void *a, const void *b,
                    void *y) {
  if (is_plain(w, 3) && all_aligned16({a, b, y}))
    LAUNCH(where_plain_kernel<T>, blocks_for(w->size, THREADS * wide_of<T>), THREADS, 0, s, w->size, cond,
           (const T *)a, (const T *)b, (T *)y);
  else if (w->size <= INT32_MAX)
    LAUNCH((where_kernel<T, uint32_t>), blocks_for(w->size), THREADS, 0, s, *w, cond, (const T *)a,
           (const T *)b, (T *)y);
  else
    LAUNCH((where_kernel<T, long>), blocks_for(w->size), THREADS, 0, s, *w, cond, (const T *)a, (const T *)b,
           (T *)y);
  return launched("where");
}

int where_on(CudaStream s, const Choice *w, size_t bytes, const uint8_t *cond, const void *a, const void *b,
             void *y) {
  switch (w->size ? bytes : 0) {
  case 0: return 1;
  case 1: return where_as<uint8_t>(s, w, cond, a, b, y);
  case 2: return where_as<uint16_t>(s, w, cond, a, b, y);
  case 4: return where_as<uint32_t>(s, w, cond, a, b, y);
  default: return where_as<uint64_t>(s, w, cond, a, b, y);
  }
}

template <class T>
static __global__ void where_back_kernel(Choice w, int side, const uint8_t *cond, const T *dy, T *g,
                                         bool add) {
  long i = INDEX, at;
  if (i >= w.size) return;
  offsets<1>(w, i, &at);
  bool own = (cond[at] != 0) == (side == 0);
  narrowed((own ? widened(dy[i]) : 0) + (add ? widened(g[i]) : 0), g + i);
}

template <class T>
static __global__ void where_back_plain_kernel(long n, int side, const uint8_t *cond, const T *dy, T *g,
                                               bool add) {
  constexpr int W = wide_of<T>;
  long i = INDEX * W;
  if (i >= n) return;
  bool whole = i + W <= n;
  Line<T, W> d = line_load<W>(dy + i, n - i, whole), to = {};
  if (add) to = line_load<W>(g + i, n - i, whole);
#pragma unroll
  for (int k = 0; k < W; k++) {
    bool own = i + k < n && (cond[i + k] != 0) == (side == 0);
    narrowed((own ? widened(d.v[k]) : 0) + (add ? widened(to.v[k]) : 0), to.v + k);
  }
  line_store(g + i, n - i, whole, to);
}

template <class T>
static int where_back_as(CudaStream s, const Choice *w, int side, const uint8_t *cond, const void *dy,
                         void *g, bool add) {
  if (is_plain(w, 1) && all_aligned16({dy, g}))
    LAUNCH(where_back_plain_kernel<T>, blocks_for(w->size, THREADS * wide_of<T>), THREADS, 0, s, w->size,
           side, cond, (const T *)dy, (T *)g, add);
  else
    LAUNCH(where_back_kernel<T>, blocks_for(w->size), THREADS, 0, s, *w, side, cond, (const T *)dy, (T *)g,
           add);
  return launched("where");
}

int where_back_on(CudaStream s, const Choice *w, Dtype dtype, int side, const uint8_t *cond, const void *dy,
                  void *g, bool add) {
  if (!w->size) return 1;
  return dtype == F64 ? where_back_as<double>(s, w, side, cond, dy, g, add)
                      : BY_DTYPE(dtype, where_back_as, s, w, side, cond, dy, g, add);
}
