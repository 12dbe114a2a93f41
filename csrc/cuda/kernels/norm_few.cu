/* Normalisation of few rows (norm.h): a block has all rows of a few channels of an image, so that one launch makes a
 * pass of both: what the first reads the second finds in the cache. */
#include "cuda/kernels/last.h"
#include "cuda/kernels/norm_rows.h"

enum { LANES = 4 }; /* of a block: 64 bytes of a row, for as many blocks as there can be */

static Lanes few_lanes(long channels, int width) {
  Lanes l = lanes_of(channels, width);
  unsigned lanes = l.lanes < LANES ? l.lanes : LANES;
  return {lanes, blocks_for((channels + width - 1) / width, (int)lanes)};
}

static Rows uncut(Rows n) {
  n.parts = 1;
  n.length = n.rows;
  return n;
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS,
                                         W > 1 ? 2 : 4) /* else registers are spilled for occupancy */
    few_kernel(Rows n, Lanes l, const T *x, const __grid_constant__ NormStatistics a, Shares share,
               const T *residual, Activation act, T *y, unsigned char *mask) {
  Share<W> w(n, l);
  long at = w.image * n.channels + w.channel;
  if (!put_known(a, l, w, share, true)) {
    Pack<W> base = {};
    if (w.inside) base = pack_load<W>(x + w.channel);
    Moments<W> m = over_rows(moments_of(n, w, x, base), l.lanes);
    if (threadIdx.x < l.lanes && w.inside)
      for (int k = 0; k < W; k++)
        put_statistics(a, at + k, w.channel + k, share, (double)m.mean.v[k] + (double)base.v[k],
                       (double)m.squares.v[k]);
  }
  __syncthreads();
  if (w.inside)
    apply_rows(n, w, x, pack_load<W>(a.scale + at), pack_load<W>(a.shift + at), residual, act, y, mask);
}

int norm_few_on(CudaStream s, Rows given, Dtype dtype, const void *x, const NormStatistics *a,
                const void *residual, Activation act, void *y, unsigned char *mask) {
  Rows n = uncut(given);
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, a->scale, a->shift, residual, y});
    Lanes l = few_lanes(n.channels, wide ? wide_of<T> : 1);
    if (wide)
      LAUNCH((few_kernel<T, wide_of<T>>), share_blocks(n, l), THREADS, 0, s, n, l, (const T *)x, *a,
             shares_of((double)n.rows), (const T *)residual, act, (T *)y, mask);
    else
      LAUNCH((few_kernel<T, 1>), share_blocks(n, l), THREADS, 0, s, n, l, (const T *)x, *a,
             shares_of((double)n.rows), (const T *)residual, act, (T *)y, mask);
  });
  return launched("normalisation");
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS, W > 1 ? 2 : 4)
    few_back_kernel(Rows n, Lanes l, const __grid_constant__ NormBack b,
                    const __grid_constant__ NormLines to) {
  Share<W> w(n, l);
  Pack<W> sum[2] = {};
  long at = w.image * n.channels + w.channel;
  if (w.inside) sum_rows<T>(n, w, b, at, sum);
  for (int j = 0; j < 2; j++) sum[j] = over_rows(sum[j], l.lanes);
  if (threadIdx.x < l.lanes && w.inside)
    for (int k = 0; k < W; k++) {
      put_line(to, at + k, (double)b.scale[at + k], (double)sum[0].v[k], (double)sum[1].v[k]);
      put_weights(to, w.channel + k, sum[1].v[k] * to.inverse[at + k], sum[0].v[k]);
    }
  __syncthreads();
  if (w.inside && (b.dx || b.dr)) back_rows<T>(n, w, b, at);
}

int norm_few_back_on(CudaStream s, Rows given, const NormBack *b, Dtype dtype, const NormLines *to) {
  Rows n = uncut(given);
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({b->x, b->dy, b->given, b->mean, b->scale,
                                                               b->shift, b->slope, b->offset, b->dx, b->dr});
    Lanes l = few_lanes(n.channels, wide ? wide_of<T> : 1);
    if (wide)
      LAUNCH((few_back_kernel<T, wide_of<T>>), share_blocks(n, l), THREADS, 0, s, n, l, *b, *to);
    else
      LAUNCH((few_back_kernel<T, 1>), share_blocks(n, l), THREADS, 0, s, n, l, *b, *to);
  });
  return launched("normalisation");
}
