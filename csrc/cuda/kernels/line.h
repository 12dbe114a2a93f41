/* Neighbouring numbers of any kind as they are in memory, which move 16 bytes at a time where memory is aligned; what is
 * computed in float32 has pack.h. C++. */
#ifndef CUDA_KERNELS_LINE_H
#define CUDA_KERNELS_LINE_H

#include "cuda/kernels/pack.h"

template <class T, int W> struct Line { T v[W]; };

/* Of which so many bytes move at once. */
template <class T, int W> constexpr int line_bytes = (int)sizeof(T) * W % 16 == 0 ? 16 : (int)sizeof(T) * W;

/* W numbers from p on: one, or several in aligned memory. */
template <int W, class T> static __device__ inline Line<T, W> line_load_whole(const T *p) {
  Line<T, W> l;
  if constexpr (W == 1) {
    l.v[0] = *p;
  } else {
    typedef Words<line_bytes<T, W> / 4> Move;
#pragma unroll
    for (int k = 0; k < (int)(sizeof l / sizeof(Move)); k++) {
      Move m = ((const Move *)p)[k];
      memcpy((char *)&l + k * sizeof m, &m, sizeof m);
    }
  }
  return l;
}

template <int W, class T> static __device__ inline void line_store_whole(T *p, const Line<T, W> &l) {
  if constexpr (W == 1) {
    *p = l.v[0];
  } else {
    typedef Words<line_bytes<T, W> / 4> Move;
#pragma unroll
    for (int k = 0; k < (int)(sizeof l / sizeof(Move)); k++) {
      Move m;
      memcpy(&m, (const char *)&l + k * sizeof m, sizeof m);
      ((Move *)p)[k] = m;
    }
  }
}

template <int W, class T> static __device__ inline Pack<W> widened(const Line<T, W> &l) {
  Pack<W> v;
#pragma unroll
  for (int k = 0; k < W; k++) v.v[k] = widened(l.v[k]);
  return v;
}

/* The same, `whole` or as many of them as are left. */
template <int W, class T> static __device__ inline Line<T, W> line_load(const T *p, long left, bool whole) {
  if (whole) return line_load_whole<W>(p);
  Line<T, W> l = {};
#pragma unroll
  for (int k = 0; k < W; k++)
    if (k < left) l.v[k] = p[k];
  return l;
}

template <int W, class T>
static __device__ inline void line_store(T *p, long left, bool whole, const Line<T, W> &l) {
  if (whole) return line_store_whole(p, l);
#pragma unroll
  for (int k = 0; k < W; k++)
    if (k < left) p[k] = l.v[k];
}

#endif
