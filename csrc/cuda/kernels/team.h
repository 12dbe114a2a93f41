/* Teams of threads that share a row of numbers, and what their members know together: 1, 2, 4 .. 32 neighbours of a
 * warp for a short row, all THREADS of a block for a long one. C++. */
#ifndef CUDA_KERNELS_TEAM_H
#define CUDA_KERNELS_TEAM_H

#include "cuda/launch.h"

/* ---- among threads: f(f(a, b), c) in an order that the threads' numbers alone decide ---- */

template <class T> static __device__ inline T other(T v, int by) { return __shfl_xor_sync(~0u, v, by); }

/* Of `size` neighbours, a power of two, for every one of them; the whole warp calls it. */
template <class T, class F> static __device__ inline T warp_all(T v, int size, F f) {
  for (int by = size / 2; by; by /= 2) v = f(v, other(v, by));
  return v;
}

/* Of all THREADS threads of a block, for every one of them; each calls it. */
template <class T, class F> static __device__ inline T block_all(T v, F f) {
  __shared__ T part[THREADS / 32];
  v = warp_all(v, 32, f);
  __syncthreads(); /* what was there before is read */
  if (threadIdx.x % warpSize == 0) part[threadIdx.x / warpSize] = v;
  __syncthreads();
  v = part[0];
  for (int k = 1; k < THREADS / 32; k++) v = f(v, part[k]);
  return v;
}

struct Add {
  template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};
struct Larger {
  __device__ float operator()(float a, float b) const { return b > a ? b : a; }
};

/* ---- teams ---- */

enum { ROW_LONG = 512 };

static inline bool is_long(long c) { return c >= ROW_LONG; }

/* Members of a team of a short row. */
static inline int team_size(long c) {
  int size = 1;
  while (size < 32 && size < c) size *= 2;
  return size;
}

/* A member; teams beyond the last row are there, too, since a warp stays together, but have no row to read. */
template <bool LONG> struct Team {
  long row;
  int rank, size;

  __device__ explicit Team(int short_size) : size(LONG ? (int)THREADS : short_size) {
    row = (long)blockIdx.x * (THREADS / size) + threadIdx.x / (unsigned)size;
    rank = (int)(threadIdx.x % (unsigned)size);
  }

  template <class T, class F> __device__ T all(T v, F f) const {
    return LONG ? block_all(v, f) : warp_all(v, size, f);
  }
};

/* Starts kernel<LONG, W>(team size, …) with a team for each of `rows` rows of c numbers, rows > 0, a member W of them. */
#define LAUNCH_TEAMS(kernel, W, s, rows, c, ...)                                                             \
  do {                                                                                                       \
    int size_ = team_size((c) / W);                                                                          \
    if (is_long((c) / W))                                                                                    \
      LAUNCH((kernel<true, W>), (unsigned)(rows), THREADS, 0, s, size_, __VA_ARGS__);                        \
    else                                                                                                     \
      LAUNCH((kernel<false, W>), blocks_for((rows)*size_), THREADS, 0, s, size_, __VA_ARGS__);               \
  } while (0)

#endif
