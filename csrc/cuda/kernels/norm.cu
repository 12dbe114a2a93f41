/* A pass is bound by memory: it reads and writes every number once, a block a part of the rows; what parts give is
 * added by the last block that is done (last.h). */
#include "cuda/kernels/norm.h"

#include "cuda/kernels/last.h"
#include "cuda/kernels/norm_rows.h"

/* ---- statistics ---- */

template <int W>
static __device__ inline void put_moments(float *partial, const Rows &n, long part, const Share<W> &w,
                                          const Moments<W> &m) {
  float *to = partial + part * 2 * n.channels + w.channel;
  pack_store(to, m.mean);
  pack_store(to + n.channels, m.squares);
}

/* Of `count` parts from `first` on, `apart` from each other, whose rows are `rows`, of the last one `last`. */
template <int W>
static __device__ inline Moments<W> parts_together(const float *partial, const Rows &n, const Lanes &l,
                                                   const Share<W> &w, long first, long count, long apart,
                                                   long rows, long last) {
  Moments<W> all = {};
#pragma unroll 4
  for (long p = threadIdx.x / l.lanes; w.inside && p < count; p += w.step) {
    const float *from = partial + (first + p * apart) * 2 * n.channels + w.channel;
    join(all, {(float)(p == count - 1 ? last : rows), pack_load<W>(from), pack_load<W>(from + n.channels)});
  }
  return over_rows(all, l.lanes);
}

/* Every image's means, and what batch norm makes of them; `moments` are the first parts of the images. */
template <int W>
static __device__ inline void pool_images(const NormStatistics &a, const Rows &n, const Lanes &l,
                                          const Share<W> &w, const float *partial, const Pack<W> &base) {
  __syncthreads(); /* the statistics are there */
  for (long i = threadIdx.x / l.lanes; w.inside && i < n.images; i += w.step) {
    Pack<W> m = pack_load<W>(partial + i * n.parts * 2 * n.channels + w.channel);
    for (int k = 0; k < W; k++) {
      long c = w.channel + k, at = i * n.channels + c;
      float mean = m.v[k] + base.v[k];
      a.means[at] = mean;
      a.pooled[at] = (float)((double)a.weight[c] * (double)a.inverse[c] * ((double)mean - (double)a.mean[c]) +
                             (double)a.bias[c]);
    }
  }
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS,
                                         W > 1 ? 2 : 4) /* else registers are spilled for occupancy */
    moments_kernel(Rows n, Lanes l, bool joint, const T *x, float *partial, unsigned *counters,
                   const __grid_constant__ NormStatistics a, Shares share) {
  Share<W> w(n, l);
  bool mine = threadIdx.x < l.lanes && w.inside;
  if (put_known(a, l, w, share, w.at == 0)) return;
  Pack<W> base = {};
  if (w.inside) base = pack_load<W>(x + w.channel);
  Moments<W> m = over_rows(moments_of(n, w, x, base), l.lanes);
  if (n.parts > 1) {
    if (mine) put_moments(partial, n, w.at, w, m);
    if (!is_last(image_counter(counters, l, w.image), (unsigned)n.parts)) return;
    m = parts_together(partial, n, l, w, w.image * n.parts, n.parts, 1, n.length,
                       n.rows - (n.parts - 1) * n.length);
  }
  if (joint && (n.images > 1 || a.pooled)) {
    if (mine) put_moments(partial, n, w.image * n.parts, w, m);
    if (!is_last(total_counter(counters, n, l), (unsigned)n.images)) return;
    m = parts_together(partial, n, l, w, 0, n.images, n.parts, n.rows, n.rows);
  }
  long at = joint ? 0 : w.image * n.channels;
  if (mine)
    for (int k = 0; k < W; k++)
      put_statistics(a, at + w.channel + k, w.channel + k, share, (double)m.mean.v[k] + (double)base.v[k],
                     (double)m.squares.v[k]);
  if (a.pooled) pool_images(a, n, l, w, partial, base);
}

int norm_moments_on(CudaStream s, Rows n, bool joint, Dtype dtype, const void *x, float *partial,
                    unsigned *counters, const NormStatistics *a) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, partial});
    LAUNCH_SHARES(moments_kernel, T, wide, s, n, joint, (const T *)x, partial, counters, *a,
                  shares_of((double)n.rows * (joint ? (double)n.images : 1)));
  });
  return launched("normalisation");
}

static __global__ void running_kernel(long channels, const __grid_constant__ NormStatistics a) {
  long i = INDEX;
  if (i < channels) put_statistics(a, i, i, {}, 0, 0);
}

int norm_running_on(CudaStream s, long channels, const NormStatistics *a) {
  LAUNCH(running_kernel, blocks_for(channels), THREADS, 0, s, channels, *a);
  return launched("normalisation");
}

/* 1 / inverse^2 - eps is the variance: to the digits that float32 has of both. */
static __global__ void line_kernel(long channels, double rows, const __grid_constant__ NormStatistics a,
                                   Shares share) {
  long i = INDEX;
  if (i >= channels) return;
  double mean = (double)a.mean[i], inverse = (double)a.inverse[i], var = 1 / (inverse * inverse) - a.eps;
  move_running(a, i, share, mean, var > 0 ? var * rows : 0);
  put_scale(a, i, i, mean, inverse);
}

int norm_line_on(CudaStream s, long channels, long rows, const NormStatistics *a) {
  LAUNCH(line_kernel, blocks_for(channels), THREADS, 0, s, channels, (double)rows, *a,
         shares_of((double)rows));
  return launched("normalisation");
}

/* ---- forward ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    apply_kernel(Rows n, Lanes l, const T *x, const float *scale, const float *shift, long each,
                 const T *residual, Activation act, T *y, unsigned char *mask) {
  Share<W> w(n, l);
  if (!w.inside) return;
  long at = w.image * each + w.channel;
  apply_rows(n, w, x, scale ? pack_load<W>(scale + at) : pack_of<W>(1),
             shift ? pack_load<W>(shift + at) : pack_of<W>(0), residual, act, y, mask);
}

int norm_apply_on(CudaStream s, Rows n, Dtype dtype, const void *x, const float *scale, const float *shift,
                  long each, const void *residual, Activation act, void *y, unsigned char *mask) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, scale, shift, residual, y});
    LAUNCH_SHARES(apply_kernel, T, wide, s, n, (const T *)x, scale, shift, each, (const T *)residual, act,
                  (T *)y, mask);
  });
  return launched("normalisation");
}

/* ---- backward ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    lines_kernel(Rows n, Lanes l, const __grid_constant__ NormBack b, long each, float *partial,
                 unsigned *counters, const __grid_constant__ NormLines to) {
  Share<W> w(n, l);
  Pack<W> sum[2] = {};
  if (w.inside) sum_rows<T>(n, w, b, w.image * each + w.channel, sum);
  if (!image_sums(n, l, w, sum, partial, counters)) return;
  bool mine = threadIdx.x < l.lanes && w.inside, weights = to.dweight || to.dbias;
  long line = w.image * n.channels + w.channel;
  if (mine) {
    for (int k = 0; k < W; k++) {
      put_line(to, line + k, (double)b.scale[w.image * each + w.channel + k], (double)sum[0].v[k],
               (double)sum[1].v[k]);
      sum[1].v[k] *= to.inverse[line + k];
    }
    if (weights && n.images > 1) {
      float *first = partial + w.image * n.parts * 2 * n.channels + w.channel; /* its first part's place */
      pack_store(first, sum[0]);
      pack_store(first + n.channels, sum[1]);
    }
  }
  if (!weights) return;
  if (n.images > 1) {
    if (!is_last(total_counter(counters, n, l), (unsigned)n.images)) return;
    for (int j = 0; j < 2; j++) {
      sum[j] = {};
      for (long i = threadIdx.x / l.lanes; w.inside && i < n.images; i += w.step) {
        Pack<W> more = pack_load<W>(partial + (i * n.parts * 2 + j) * n.channels + w.channel);
        for (int k = 0; k < W; k++) sum[j].v[k] += more.v[k];
      }
      sum[j] = over_rows(sum[j], l.lanes);
    }
  }
  if (mine)
    for (int k = 0; k < W; k++) put_weights(to, w.channel + k, sum[1].v[k], sum[0].v[k]);
}

int norm_lines_on(CudaStream s, Rows n, const NormBack *b, Dtype dtype, long each, float *partial,
                  unsigned *counters, const NormLines *to) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 &&
                all_aligned16({b->x, b->dy, b->given, b->mean, b->scale, b->shift, partial});
    LAUNCH_SHARES(lines_kernel, T, wide, s, n, *b, each, partial, counters, *to);
  });
  return launched("normalisation");
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    back_kernel(Rows n, Lanes l, const __grid_constant__ NormBack b, long each) {
  Share<W> w(n, l);
  if (w.inside) back_rows<T>(n, w, b, w.image * each + w.channel);
}

int norm_back_on(CudaStream s, Rows n, const NormBack *b, Dtype dtype, long each) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({b->x, b->dy, b->given, b->mean, b->scale,
                                                               b->shift, b->slope, b->offset, b->dx, b->dr});
    LAUNCH_SHARES(back_kernel, T, wide, s, n, *b, each);
  });
  return launched("normalisation");
}
