/* A thread an element. */
#include "cuda/kernels/where.h"

#include "cuda/kernels/half.h"
#include "cuda/launch.h"

static __global__ void truth_kernel(long n, const double *x, uint8_t *y) {
  long i = INDEX;
  if (i < n) y[i] = x[i] != 0;
}

int truth_on(CudaStream s, long n, const double *x, uint8_t *y) {
  if (!n) return 1;
  LAUNCH(truth_kernel, blocks_for(n), THREADS, 0, s, n, x, y);
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

template <class T>
static int where_as(CudaStream s, const Choice *w, const uint8_t *cond, const void *a, const void *b,
                    void *y) {
  if (w->size <= INT32_MAX)
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
static int where_back_as(CudaStream s, const Choice *w, int side, const uint8_t *cond, const void *dy,
                         void *g, bool add) {
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
