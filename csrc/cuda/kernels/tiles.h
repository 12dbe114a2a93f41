/* Products of matrices in tiles, for kernels: a block computes M x N sums, a step of DEPTH products at a time. Both
 * operands of a step pass through shared memory in two buffers; while one is multiplied the next is on its way through
 * registers. Where the operands come from, sources say (a plain matrix, the windows of an image):
 *
 *   Line line(long i)                        what is fixed: a row or column of the result (Along), four of them (Across)
 *   Place begin(int k), advance(Place &, by) what moves with the depth
 *   float4 read(Line, Place)                 four numbers: of one line along the depth, or of four lines side by side;
 *                                            zeros outside
 *
 * C++. */
#ifndef CUDA_KERNELS_TILES_H
#define CUDA_KERNELS_TILES_H

#include "cuda/kernels/numbers.h"
#include "cuda/launch.h"

enum { DEPTH = 16 };

/* Sums of a block, and of a thread: TM rows (4, or twice 4) of TN columns. */
template <int M_, int N_, int TM_, int TN_> struct Tile {
  static constexpr int M = M_, N = N_, TM = TM_, TN = TN_;
  static constexpr int BLOCKS = TM * TN > 16 ? 2 : 3; /* for which a multiprocessor's registers last */
  static_assert(M / TM * (N / TN) == THREADS, "a tile has work for all threads");
};

/* Floats from one step of the depth to the next in shared memory. */
template <int SIZE> constexpr int pitch_of = SIZE + 4;

/* SIZE lines of a source whose neighbours are along the depth. */
template <int SIZE, class Source> struct Along {
  static constexpr int QUARTERS = DEPTH / 4, LINES = THREADS / QUARTERS, UNITS = (SIZE + LINES - 1) / LINES;
  const Source &source;
  typename Source::Line line[UNITS];
  typename Source::Place place;
  float4 held[UNITS];

  __device__ Along(const Source &s, long first) : source(s) {
    for (int u = 0; u < UNITS; u++) line[u] = s.line(first + threadIdx.x / QUARTERS + u * LINES);
    place = s.begin(threadIdx.x % QUARTERS * 4);
  }
  __device__ void fetch() {
#pragma unroll
    for (int u = 0; u < UNITS; u++) held[u] = source.read(line[u], place);
    source.advance(place, DEPTH);
  }
  __device__ void put(float *to) const {
    int row = threadIdx.x / QUARTERS, k = threadIdx.x % QUARTERS * 4;
    if (SIZE < LINES && row >= SIZE) return;
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
      float *at = to + k * pitch_of<SIZE> + row + u * LINES;
      at[0] = held[u].x;
      at[pitch_of<SIZE>] = held[u].y;
      at[2 * pitch_of<SIZE>] = held[u].z;
      at[3 * pitch_of<SIZE>] = held[u].w;
    }
  }
};

/* SIZE lines of a source whose neighbours are across them. */
template <int SIZE, class Source> struct Across {
  static constexpr int QUARTERS = SIZE / 4, ROWS = THREADS / QUARTERS, UNITS = (DEPTH + ROWS - 1) / ROWS;
  const Source &source;
  typename Source::Line line;
  typename Source::Place place[UNITS];
  float4 held[UNITS];

  __device__ Across(const Source &s, long first) : source(s) {
    line = s.line(first + threadIdx.x % QUARTERS * 4);
    for (int u = 0; u < UNITS; u++) place[u] = s.begin(threadIdx.x / QUARTERS + u * ROWS);
  }
  __device__ void fetch() {
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
      held[u] = source.read(line, place[u]);
      source.advance(place[u], DEPTH);
    }
  }
  __device__ void put(float *to) const {
    int k = threadIdx.x / QUARTERS, column = threadIdx.x % QUARTERS * 4;
    if (DEPTH < ROWS && k >= DEPTH) return;
#pragma unroll
    for (int u = 0; u < UNITS; u++) *(float4 *)(to + (k + u * ROWS) * pitch_of<SIZE> + column) = held[u];
  }
};

template <class T> struct Sums { float v[T::TM][T::TN]; };

/* Where a thread's sum i of its rows (size M, TM of a thread) or columns stands in the tile: fours that lie apart, so
 * that neighbouring threads read neighbouring fours. */
template <int SIZE, int OWN> static __device__ inline int place_of(int thread, int i) {
  return i / 4 * (SIZE / (OWN / 4)) + thread * 4 + i % 4;
}
template <class T> static __device__ inline int row_of(int i) {
  return place_of<T::M, T::TM>(threadIdx.x / (T::N / T::TN), i);
}
template <class T> static __device__ inline int column_of(int i) {
  return place_of<T::N, T::TN>(threadIdx.x % (T::N / T::TN), i);
}

template <int SIZE, int OWN>
static __device__ inline void fragment(const float *from, int thread, float (&to)[OWN]) {
#pragma unroll
  for (int i = 0; i < OWN; i += 4) {
    float4 f = *(const float4 *)(from + place_of<SIZE, OWN>(thread, i));
    to[i] = f.x, to[i + 1] = f.y, to[i + 2] = f.z, to[i + 3] = f.w;
  }
}

/* sum = a times b over `depth` products; a, b: Along or Across of M and N lines. All threads of the block call it. */
template <class T, class A, class B>
static __device__ inline void multiply(A a, B b, long depth, Sums<T> &sum) {
  __shared__ float4 shared_a[2][DEPTH * pitch_of<T::M> / 4], shared_b[2][DEPTH * pitch_of<T::N> / 4];
  int row = threadIdx.x / (T::N / T::TN), column = threadIdx.x % (T::N / T::TN);
  long steps = (depth + DEPTH - 1) / DEPTH;
  a.fetch();
  b.fetch();
  a.put((float *)shared_a[0]);
  b.put((float *)shared_b[0]);
  __syncthreads();
  for (long step = 0; step < steps; step++) {
    const float *from_a = (const float *)shared_a[step & 1], *from_b = (const float *)shared_b[step & 1];
    bool more = step + 1 < steps;
    if (more) {
      a.fetch();
      b.fetch();
    }
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
      float fa[T::TM], fb[T::TN];
      fragment<T::M>(from_a + k * pitch_of<T::M>, row, fa);
      fragment<T::N>(from_b + k * pitch_of<T::N>, column, fb);
#pragma unroll
      for (int i = 0; i < T::TM; i++)
#pragma unroll
        for (int j = 0; j < T::TN; j++) sum.v[i][j] += fa[i] * fb[j];
    }
    if (more) {
      a.put((float *)shared_a[1 - (step & 1)]);
      b.put((float *)shared_b[1 - (step & 1)]);
    }
    __syncthreads();
  }
}

static __device__ inline float4 zeros() { return make_float4(0, 0, 0, 0); }

/* A matrix as a source: number (line, k) at first + line * line_step + k * depth_step, one of the steps 1. WIDE: both
 * the memory and the sizes allow to move four at once. Data: Numbers, or float32. */
template <bool WIDE, class Data = const float *> struct Matrix {
  typedef long Line, Place;
  Data data;
  long lines, depth, line_step, depth_step, first;

  __device__ long line(long i) const { return i; }
  __device__ long begin(int k) const { return k; }
  __device__ void advance(long &k, int by) const { k += by; }
  __device__ float4 read(long i, long k) const {
    if (i >= lines || k >= depth) return zeros();
    long p = first + i * line_step + k * depth_step;
    if constexpr (WIDE) {
      return numbers_at(data, p);
    } else {
      long left = depth_step == 1 ? depth - k : lines - i; /* of the direction in which neighbours lie */
      return make_float4(number_at(data, p), left > 1 ? number_at(data, p + 1) : 0,
                         left > 2 ? number_at(data, p + 2) : 0, left > 3 ? number_at(data, p + 3) : 0);
    }
  }
};

#endif
