/* Sharing out rows of channels (kernels/rows.h): W neighbouring channels a thread, moved at once; a block's threads
 * are `lanes` groups of channels wide and cover THREADS / lanes rows. C++. */
#ifndef CUDA_KERNELS_CHANNELS_H
#define CUDA_KERNELS_CHANNELS_H

#include "cuda/launch.h"

#include "cuda/kernels/rows.h"

/* W neighbours; in memory they lie aligned. */
template <int W> struct alignas(4 * W) Pack { float v[W]; };

template <int W> static __device__ inline Pack<W> pack_load(const float *p) { return *(const Pack<W> *)p; }
template <int W> static __device__ inline void pack_store(float *p, const Pack<W> &v) { *(Pack<W> *)p = v; }
/* p (+)= v */
template <int W> static __device__ inline void pack_put(float *p, Pack<W> v, bool add) {
  if (add) {
    Pack<W> old = pack_load<W>(p);
    for (int k = 0; k < W; k++) v.v[k] += old.v[k];
  }
  pack_store(p, v);
}

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

static inline unsigned share_blocks(const Rows &n, const Lanes &l) {
  return (unsigned)(n.images * n.parts) * l.blocks;
}

/* The sum over a block's rows of threads, in its first row (threadIdx.x < lanes). All threads call it. */
template <int W> static __device__ inline Pack<W> over_rows(Pack<W> v, unsigned lanes) {
  __shared__ Pack<W> part[THREADS];
  unsigned t = threadIdx.x;
  __syncthreads(); /* a sum before this one is read */
  part[t] = v;
  __syncthreads();
  for (unsigned half = THREADS / 2; half >= lanes; half /= 2) {
    if (t < half)
      for (int k = 0; k < W; k++) part[t].v[k] += part[t + half].v[k];
    __syncthreads();
  }
  return part[t];
}

/* f<4>(…) where channels go by fours and all of memory is aligned, else f<1>(…). */
#define BY_WIDTH(fours, f, ...) ((fours) ? f<4>(__VA_ARGS__) : f<1>(__VA_ARGS__))

static inline bool all_aligned16(std::initializer_list<const void *> list) {
  for (const void *p : list)
    if (!aligned16(p)) return false; /* NULL is */
  return true;
}

#endif
