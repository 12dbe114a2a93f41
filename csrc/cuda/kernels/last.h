/* What blocks leave in memory in parts is added up by the last of them that is done, in an order that has nothing to do
 * with which one it is: the second launch of a sum is spared. Counters are zeros between launches. C++. */
#ifndef CUDA_KERNELS_LAST_H
#define CUDA_KERNELS_LAST_H

#include "cuda/kernels/channels.h"

/* Whether this block is the last of `of` to call it with this counter; it then sees what the others wrote before. All
 * threads of a block call it. */
static __device__ inline bool is_last(unsigned *counter, unsigned of) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(counter, 1u) == of - 1;
    if (last) *counter = 0;
  }
  __syncthreads();
  bool mine = last;
  if (mine) __threadfence();
  return mine;
}

/* ---- over rows of channels ---- */

/* The counters of an image's blocks for the same channels; those for all images stand behind all of these. */
static __device__ inline unsigned *image_counter(unsigned *counters, const Lanes &l, long image) {
  return counters + image * l.blocks + blockIdx.x % l.blocks;
}
static __device__ inline unsigned *total_counter(unsigned *counters, const Rows &n, const Lanes &l) {
  return image_counter(counters, l, n.images);
}

/* N sums of a block's threads become those of its image, in the first row of threads (threadIdx.x < lanes) of the image's
 * last block. false: another block is that. partial: rows_sums of N. */
template <int W, int N>
static __device__ inline bool image_sums(const Rows &n, const Lanes &l, const Share<W> &w, Pack<W> (&sum)[N],
                                         float *partial, unsigned *counters) {
  for (int j = 0; j < N; j++) sum[j] = over_rows(sum[j], l.lanes);
  if (n.parts == 1) return true;
  if (threadIdx.x < l.lanes && w.inside)
    for (int j = 0; j < N; j++) pack_store(partial + (w.at * N + j) * n.channels + w.channel, sum[j]);
  if (!is_last(image_counter(counters, l, w.image), (unsigned)n.parts)) return false;
  for (int j = 0; j < N; j++) sum[j] = {};
#pragma unroll 4
  for (long p = threadIdx.x / l.lanes; w.inside && p < n.parts; p += w.step)
    for (int j = 0; j < N; j++) {
      Pack<W> more = pack_load<W>(partial + ((w.image * n.parts + p) * N + j) * n.channels + w.channel);
      for (int k = 0; k < W; k++) sum[j].v[k] += more.v[k];
    }
  for (int j = 0; j < N; j++) sum[j] = over_rows(sum[j], l.lanes);
  return true;
}

#endif
