/* Sharing out rows of channels (kernels/rows.h): W neighbouring channels a thread, moved at once; a block's threads
 * are `lanes` groups of channels wide and cover THREADS / lanes rows. C++. */
#ifndef CUDA_KERNELS_CHANNELS_H
#define CUDA_KERNELS_CHANNELS_H

#include "cuda/kernels/pack.h"
#include "cuda/kernels/rows.h"
#include "cuda/launch.h"

/* Groups of channels in a row of a block: a power of two up to 32; and blocks that a row takes. */
struct Lanes {
  unsigned lanes, blocks;
};
static inline Lanes lanes_of(long channels, int width) {
  long units = (channels + width - 1) / width;
  unsigned lanes = 1;
  while (lanes < 32 && lanes < units) lanes *= 2;
  return {lanes, (unsigned)((units + lanes - 1) / lanes)};
}

/* What a thread takes: rows row, row + step, … below end, counted through all images. */
template <int W> struct Share {
  long at, image, row, end, step, channel;
  bool inside;
  __device__ Share(const Rows &n, const Lanes &l) {
    at = blockIdx.x / l.blocks;
    image = at / n.parts;
    step = THREADS / l.lanes;
    channel = (long)(blockIdx.x % l.blocks * l.lanes + threadIdx.x % l.lanes) * W;
    inside = channel < n.channels;
    long first = at % n.parts * n.length, last = first + n.length < n.rows ? first + n.length : n.rows;
    row = image * n.rows + first + threadIdx.x / l.lanes;
    end = inside ? image * n.rows + last : row;
  }
};

/* A thread's rows, N at a time: load(i) for the place of each one's first number, of those beyond the end again for the
 * first of them; then use(i, what was loaded), so that N rows are on their way together whatever is stored, and whichever
 * branches are taken, between them. */
template <int N, int W, class Load, class Use>
static __device__ inline void rows_together(const Rows &n, const Share<W> &w, Load load, Use use) {
  for (long r = w.row; r < w.end; r += N * w.step) {
    long at[N];
    decltype(load(r)) v[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
      at[i] = (r + i * w.step < w.end ? r + i * w.step : r) * n.channels + w.channel;
      v[i] = load(at[i]);
    }
#pragma unroll
    for (int i = 0; i < N; i++)
      if (r + i * w.step < w.end) use(at[i], v[i]);
  }
}

static inline unsigned share_blocks(const Rows &n, const Lanes &l) {
  return (unsigned)(n.images * n.parts) * l.blocks;
}

/* join(a, b) over a block's rows of threads, into the first of them (threadIdx.x < lanes). All threads call it. */
template <class V, class F> static __device__ inline V over_rows(const V &v, unsigned lanes, F join) {
  __shared__ V part[THREADS];
  unsigned t = threadIdx.x;
  __syncthreads(); /* what was there before is read */
  part[t] = v;
  __syncthreads();
  for (unsigned half = THREADS / 2; half >= lanes; half /= 2) {
    if (t < half) join(part[t], part[t + half]);
    __syncthreads();
  }
  return part[t];
}

/* The sum. */
template <int W> static __device__ inline Pack<W> over_rows(const Pack<W> &v, unsigned lanes) {
  return over_rows(v, lanes, [](Pack<W> &a, const Pack<W> &b) {
    for (int k = 0; k < W; k++) a.v[k] += b.v[k];
  });
}

/* LAUNCHes kernel<T, W>(n, lanes, …) over the Rows n, W as many as move at once where `wide`, else 1. */
#define LAUNCH_SHARES(kernel, T, wide, s, n, ...)                                                            \
  do {                                                                                                       \
    Lanes lanes_ = lanes_of((n).channels, (wide) ? wide_of<T> : 1);                                          \
    if (wide)                                                                                                \
      LAUNCH((kernel<T, wide_of<T>>), share_blocks(n, lanes_), THREADS, 0, s, n, lanes_, __VA_ARGS__);       \
    else                                                                                                     \
      LAUNCH((kernel<T, 1>), share_blocks(n, lanes_), THREADS, 0, s, n, lanes_, __VA_ARGS__);                \
  } while (0)

#endif
