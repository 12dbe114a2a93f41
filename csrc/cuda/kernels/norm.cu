/* A pass is bound by memory: it reads and writes every number once, a block a part of the rows. What parts give is
 * added in double, a warp for each channel. */
#include "cuda/kernels/norm.h"

#include "cuda/kernels/activation.h"
#include "cuda/kernels/channels.h"
#include "cuda/kernels/sums.h"

/* ---- statistics ---- */

/* Mean and squared differences of two sets of rows together (Chan, Golub, LeVeque 1983). */
template <int W>
static __device__ inline void join(float &rows, Pack<W> &mean, Pack<W> &squares, float more, const Pack<W> &m,
                                   const Pack<W> &q) {
  float all = rows + more, share = all > 0 ? more / all : 0;
  for (int k = 0; k < W; k++) {
    float d = m.v[k] - mean.v[k];
    mean.v[k] += d * share;
    squares.v[k] += q.v[k] + d * d * rows * share;
  }
  rows = all;
}

/* A thread takes some rows at a time: their mean is theirs alone, so that nothing large is subtracted; and all are
 * counted from the first row, which keeps the digits of numbers that lie together far from 0. */
template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    moments_kernel(Rows n, Lanes l, const T *x, float *partial) {
  enum { AT_ONCE = 4 };
  __shared__ Pack<W> means[THREADS], squared[THREADS];
  __shared__ float counts[THREADS];
  Share<W> w(n, l);
  unsigned t = threadIdx.x;
  Pack<W> mean = {}, squares = {}, base = {};
  float rows = 0;
  if (w.inside) base = pack_load<W>(x + w.channel);
  for (long r = w.row; r < w.end; r += AT_ONCE * w.step) {
    Pack<W> v[AT_ONCE], m = {}, q = {};
    float some = 0;
    for (int i = 0; i < AT_ONCE; i++) {
      bool there = r + i * w.step < w.end;
      v[i] = pack_load<W>(x + (there ? r + i * w.step : r) * n.channels + w.channel);
      some += there;
      for (int k = 0; k < W; k++) {
        v[i].v[k] -= base.v[k];
        m.v[k] += there ? v[i].v[k] : 0;
      }
    }
    for (int k = 0; k < W; k++) m.v[k] /= some;
    for (int i = 0; i < AT_ONCE; i++)
      for (int k = 0; k < W; k++) {
        float d = v[i].v[k] - m.v[k];
        q.v[k] += r + i * w.step < w.end ? d * d : 0;
      }
    join(rows, mean, squares, some, m, q);
  }
  means[t] = mean, squared[t] = squares, counts[t] = rows;
  __syncthreads();
  for (unsigned half = THREADS / 2; half >= l.lanes; half /= 2) {
    if (t < half) join(counts[t], means[t], squared[t], counts[t + half], means[t + half], squared[t + half]);
    __syncthreads();
  }
  if (t >= l.lanes || !w.inside) return;
  float *to = partial + w.at * 2 * n.channels + w.channel;
  pack_store(to, means[t]);
  pack_store(to + n.channels, squared[t]);
}

int norm_moments_on(CudaStream s, Rows n, Dtype dtype, const void *x, float *partial) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, partial});
    LAUNCH_SHARES(moments_kernel, T, wide, s, n, (const T *)x, partial);
  });
  return launched("normalisation");
}

enum { WARP = 32, WARPS = THREADS / WARP };

/* A warp for a channel of an image (joint: of all). */
template <class T>
static __global__ void __launch_bounds__(THREADS) statistics_kernel(Rows n, bool joint, NormStatistics a) {
  long i = (long)blockIdx.x * WARPS + threadIdx.x / WARP, C = n.channels, sets = joint ? 1 : n.images;
  long parts = joint ? n.images * n.parts : n.parts, channel = i % C;
  if (i >= sets * C) return;
  double rows = (double)n.rows * (joint ? n.images : 1), mean, var;
  if (a.partial) {
    const float *from = a.partial + i / C * parts * 2 * C + channel;
    double last = (double)(n.rows - (n.parts - 1) * n.length), sum = 0, squares = 0;
    for (long p = threadIdx.x % WARP; p < parts; p += WARP)
      sum += (p % n.parts == n.parts - 1 ? last : (double)n.length) * (double)from[p * 2 * C];
    mean = warp_sum(sum) / rows; /* from the first row's, so far */
    for (long p = threadIdx.x % WARP; p < parts; p += WARP) {
      double d = (double)from[p * 2 * C] - mean;
      squares += (double)from[p * 2 * C + C] + (p % n.parts == n.parts - 1 ? last : (double)n.length) * d * d;
    }
    squares = warp_sum(squares);
    mean += (double)widened(((const T *)a.x)[channel]);
    var = squares / rows;
    if (a.running_mean && threadIdx.x % WARP == 0) {
      float *m = a.running_mean + channel, *v = a.running_var + channel;
      *m = (float)((1 - a.momentum) * (double)*m + a.momentum * mean);
      if (rows > 1) *v = (float)((1 - a.momentum) * (double)*v + a.momentum * squares / (rows - 1));
    }
  } else {
    mean = (double)a.running_mean[channel];
    var = (double)a.running_var[channel];
  }
  if (threadIdx.x % WARP) return;
  double inverse = 1 / sqrt(var + a.eps), scale = (a.weight ? (double)a.weight[channel] : 1) * inverse;
  a.mean[i] = (float)mean;
  a.inverse[i] = (float)inverse;
  a.scale[i] = (float)scale;
  a.shift[i] = (float)((a.bias ? (double)a.bias[channel] : 0) - mean * scale);
}

int norm_statistics_on(CudaStream s, Rows n, bool joint, const NormStatistics *a) {
  long all = (joint ? 1 : n.images) * n.channels;
  with_type(a->dtype, [&](auto t) {
    LAUNCH(statistics_kernel<decltype(t)>, blocks_for(all, WARPS), THREADS, 0, s, n, joint, *a);
  });
  return launched("normalisation");
}

/* ---- forward ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    apply_kernel(Rows n, Lanes l, const T *x, const float *scale, const float *shift, long each,
                 const T *residual, Activation act, T *y) {
  Share<W> w(n, l);
  if (!w.inside) return;
  Pack<W> a = pack_load<W>(scale + w.image * each + w.channel),
          b = pack_load<W>(shift + w.image * each + w.channel);
#pragma unroll 4
  for (long r = w.row; r < w.end; r += w.step) {
    long i = r * n.channels + w.channel;
    Pack<W> v = pack_load<W>(x + i), more = {};
    if (residual) more = pack_load<W>(residual + i);
    for (int k = 0; k < W; k++) v.v[k] = activated(act, v.v[k] * a.v[k] + b.v[k] + more.v[k]);
    pack_store(y + i, v);
  }
}

int norm_apply_on(CudaStream s, Rows n, Dtype dtype, const void *x, const float *scale, const float *shift,
                  long each, const void *residual, Activation act, void *y) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, scale, shift, residual, y});
    LAUNCH_SHARES(apply_kernel, T, wide, s, n, (const T *)x, scale, shift, each, (const T *)residual, act,
                  (T *)y);
  });
  return launched("normalisation");
}

/* ---- backward ---- */

/* dz of a thread's channels in row i / channels. */
template <class T, int W>
static __device__ inline Pack<W> gradient(const NormBack &b, long i, const Pack<W> &x, const Pack<W> &scale,
                                          const Pack<W> &shift) {
  Pack<W> d = pack_load<W>((const T *)b.dy + i), given = {};
  if (b.given) given = pack_load<W>((const T *)b.given + i);
  for (int k = 0; k < W; k++) {
    float v = x.v[k] * scale.v[k] + shift.v[k];
    if (b.given) v = b.act == ACT_SILU ? v + given.v[k] : given.v[k];
    d.v[k] = activation_back(b.act, v, d.v[k]);
  }
  return d;
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    sums_kernel(Rows n, Lanes l, NormBack b, long each, float *partial) {
  Share<W> w(n, l);
  Pack<W> sum = {}, product = {}, mean = {}, scale = {}, shift = {};
  if (w.inside) {
    long at = w.image * each + w.channel;
    mean = pack_load<W>(b.mean + at), scale = pack_load<W>(b.scale + at), shift = pack_load<W>(b.shift + at);
  }
#pragma unroll 4
  for (long r = w.row; r < w.end; r += w.step) {
    long i = r * n.channels + w.channel;
    Pack<W> x = pack_load<W>((const T *)b.x + i), d = gradient<T>(b, i, x, scale, shift);
    for (int k = 0; k < W; k++) {
      sum.v[k] += d.v[k];
      product.v[k] += d.v[k] * (x.v[k] - mean.v[k]);
    }
  }
  sum = over_rows(sum, l.lanes);
  product = over_rows(product, l.lanes);
  if (threadIdx.x >= l.lanes || !w.inside) return;
  float *to = partial + w.at * 2 * n.channels + w.channel;
  pack_store(to, sum);
  pack_store(to + n.channels, product);
}

int norm_sums_on(CudaStream s, Rows n, const NormBack *b, Dtype dtype, long each, float *partial) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 &&
                all_aligned16({b->x, b->dy, b->given, b->mean, b->scale, b->shift, partial});
    LAUNCH_SHARES(sums_kernel, T, wide, s, n, *b, each, partial);
  });
  return launched("normalisation");
}

static __global__ void __launch_bounds__(THREADS)
    lines_kernel(Rows n, const float *partial, const float *inverse, const float *scale, double share,
                 float *sums, float *slope, float *offset) {
  long i = (long)blockIdx.x * WARPS + threadIdx.x / WARP, C = n.channels, all = n.images * C;
  if (i >= all) return;
  const float *from = partial + i / C * n.parts * 2 * C + i % C;
  double sum = 0, product = 0;
  for (long p = threadIdx.x % WARP; p < n.parts; p += WARP) {
    sum += (double)from[p * 2 * C];
    product += (double)from[p * 2 * C + C];
  }
  sum = warp_sum(sum), product = warp_sum(product);
  if (threadIdx.x % WARP) return;
  double a = (double)scale[i], h = (double)inverse[i];
  sums[i] = (float)sum;
  sums[all + i] = (float)product;
  slope[i] = (float)(-share * a * h * h * product);
  offset[i] = (float)(-share * a * sum);
}

int norm_lines_on(CudaStream s, Rows n, const float *partial, const float *inverse, const float *scale,
                  double share, float *sums, float *slope, float *offset) {
  LAUNCH(lines_kernel, blocks_for(n.images * n.channels, WARPS), THREADS, 0, s, n, partial, inverse, scale,
         share, sums, slope, offset);
  return launched("normalisation");
}

static __global__ void weights_kernel(long images, long channels, const float *sums, const float *inverse,
                                      float *dweight, bool weight_add, float *dbias, bool bias_add) {
  long i = INDEX, all = images * channels;
  if (i >= channels) return;
  double weight = 0, bias = 0;
  for (long at = i; at < all; at += channels) {
    weight += (double)sums[all + at] * (double)inverse[at];
    bias += (double)sums[at];
  }
  if (dweight) dweight[i] = (weight_add ? dweight[i] : 0) + (float)weight;
  if (dbias) dbias[i] = (bias_add ? dbias[i] : 0) + (float)bias;
}

int norm_weights_on(CudaStream s, long images, long channels, const float *sums, const float *inverse,
                    float *dweight, bool weight_add, float *dbias, bool bias_add) {
  if (!dweight && !dbias) return 1;
  LAUNCH(weights_kernel, blocks_for(channels), THREADS, 0, s, images, channels, sums, inverse, dweight,
         weight_add, dbias, bias_add);
  return launched("normalisation");
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS) back_kernel(Rows n, Lanes l, NormBack b, long each) {
  Share<W> w(n, l);
  if (!w.inside) return;
  long at = w.image * each + w.channel;
  Pack<W> mean = pack_load<W>(b.mean + at), scale = pack_load<W>(b.scale + at),
          shift = pack_load<W>(b.shift + at);
  Pack<W> slope = pack_load<W>(b.slope + at), offset = pack_load<W>(b.offset + at);
#pragma unroll 2
  for (long r = w.row; r < w.end; r += w.step) {
    long i = r * n.channels + w.channel;
    Pack<W> x = pack_load<W>((const T *)b.x + i), d = gradient<T>(b, i, x, scale, shift);
    if (b.dr) pack_put((T *)b.dr + i, d, b.dr_add);
    if (!b.dx) continue;
    for (int k = 0; k < W; k++)
      d.v[k] = scale.v[k] * d.v[k] + slope.v[k] * (x.v[k] - mean.v[k]) + offset.v[k];
    pack_put((T *)b.dx + i, d, b.dx_add);
  }
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
