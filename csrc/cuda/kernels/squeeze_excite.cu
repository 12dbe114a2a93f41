/* The gate is small: a warp or a few threads for each of its numbers, rows one after the other. The passes over maps
 * are made like normalisation's. */
#include "cuda/kernels/squeeze_excite.h"

#include "cuda/kernels/activation.h"
#include "cuda/kernels/channels.h"
#include "cuda/kernels/sums.h"

enum { WARP = 32, WARPS = THREADS / WARP };

/* ---- the gate ---- */

static __global__ void __launch_bounds__(THREADS)
    layer_kernel(long rows, long in, long out, const float *a, const float *w, const float *bias, bool silu,
                 float *before, float *y) {
  long at = (long)blockIdx.x * WARPS + threadIdx.x / WARP;
  if (at >= rows * out) return;
  const float *p = a + at / out * in, *q = w + at % out * in;
  float v = 0;
  for (long i = threadIdx.x % WARP; i < in; i += WARP) v += p[i] * q[i];
  v = warp_sum(v);
  if (threadIdx.x % WARP) return;
  v += bias[at % out];
  if (before) before[at] = v;
  y[at] = !before ? SIGMOID(v) : silu ? SILU(v) : v < 0 ? 0 : v;
}

int se_layer_on(CudaStream s, long rows, long in, long out, const float *a, const float *w, const float *bias,
                bool silu, float *before, float *y) {
  if (!rows || !out) return 1;
  LAUNCH(layer_kernel, blocks_for(rows * out, WARPS), THREADS, 0, s, rows, in, out, a, w, bias, silu, before,
         y);
  return launched("batch_norm_se");
}

/* A block for 32 numbers of a row of y; its rows of threads take every WARPS-th number of d. */
static __global__ void __launch_bounds__(THREADS)
    layer_back_kernel(long in, long out, long blocks, const float *d, const float *w, const float *before,
                      bool silu, float scale, float *y) {
  long row = blockIdx.x / blocks, column = blockIdx.x % blocks * WARP + threadIdx.x % WARP;
  Pack<1> v = {};
  for (long o = threadIdx.x / WARP; o < out && column < in; o += WARPS)
    v.v[0] += d[row * out + o] * w[o * in + column];
  v = over_rows(v, WARP);
  if (threadIdx.x >= WARP || column >= in) return;
  float b = before ? before[row * in + column] : 0;
  if (before) v.v[0] *= silu ? SILU_SLOPE(b, SIGMOID(b)) : b > 0;
  y[row * in + column] = v.v[0] * scale;
}

int se_layer_back_on(CudaStream s, long rows, long in, long out, const float *d, const float *w,
                     const float *before, bool silu, float scale, float *y) {
  long blocks = (in + WARP - 1) / WARP;
  if (!rows || !in) return 1;
  LAUNCH(layer_back_kernel, (unsigned)(rows * blocks), THREADS, 0, s, in, out, blocks, d, w, before, silu,
         scale, y);
  return launched("batch_norm_se");
}

static __global__ void layer_weights_kernel(long rows, long in, long out, const float *d, const float *a,
                                            float *g, bool add) {
  long i = INDEX;
  if (i >= in * out) return;
  float v = 0;
  for (long r = 0; r < rows; r++) v += d[r * out + i / in] * a[r * in + i % in];
  g[i] = (add ? g[i] : 0) + v;
}

int se_layer_weights_on(CudaStream s, long rows, long in, long out, const float *d, const float *a, float *g,
                        bool add) {
  if (!in || !out) return 1;
  LAUNCH(layer_weights_kernel, blocks_for(in * out), THREADS, 0, s, rows, in, out, d, a, g, add);
  return launched("batch_norm_se");
}

/* ---- forward ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    pool_kernel(Rows n, Lanes l, const T *x, SeLines a, float *partial) {
  Share<W> w(n, l);
  Pack<W> sum = {}, scale = {}, shift = {};
  if (w.inside) scale = pack_load<W>(a.scale + w.channel), shift = pack_load<W>(a.shift + w.channel);
#pragma unroll 4
  for (long r = w.row; r < w.end; r += w.step) {
    Pack<W> v = pack_load<W>(x + r * n.channels + w.channel);
    for (int k = 0; k < W; k++) sum.v[k] += activated(ACT_SILU, v.v[k] * scale.v[k] + shift.v[k]);
  }
  sum = over_rows(sum, l.lanes);
  if (threadIdx.x < l.lanes && w.inside) pack_store(partial + w.at * n.channels + w.channel, sum);
}

int se_pool_on(CudaStream s, Rows n, Dtype dtype, const void *x, const SeLines *l, float *partial) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, l->scale, l->shift, partial});
    LAUNCH_SHARES(pool_kernel, T, wide, s, n, (const T *)x, *l, partial);
  });
  return launched("batch_norm_se");
}

/* A warp for a channel of an image. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    pooled_kernel(Rows n, const T *x, const float *partial, SeLines l, const float *weight, const float *bias,
                  const float *inverse, float *means, float *pooled) {
  long i = (long)blockIdx.x * WARPS + threadIdx.x / WARP, C = n.channels, channel = i % C;
  if (i >= n.images * C) return;
  long row = means ? 2 * C : C;
  const float *from = partial + i / C * n.parts * row + channel;
  double sum = 0, last = (double)(n.rows - (n.parts - 1) * n.length);
  for (long p = threadIdx.x % WARP; p < n.parts; p += WARP)
    sum += (double)from[p * row] * (!means ? 1 : p == n.parts - 1 ? last : (double)n.length);
  double mean = warp_sum(sum) / (double)n.rows;
  if (threadIdx.x % WARP) return;
  if (means) {
    mean += (double)widened(x[channel]);
    means[i] = (float)mean;
    mean = (double)weight[channel] * (double)inverse[channel] * (mean - (double)l.mean[channel]) +
           (double)bias[channel];
  }
  pooled[i] = (float)mean;
}

int se_pooled_on(CudaStream s, Rows n, Dtype dtype, const void *x, const float *partial, const SeLines *l,
                 const float *weight, const float *bias, const float *inverse, float *means, float *pooled) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    LAUNCH(pooled_kernel<T>, blocks_for(n.images * n.channels, WARPS), THREADS, 0, s, n, (const T *)x,
           partial, *l, weight, bias, inverse, means, pooled);
  });
  return launched("batch_norm_se");
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS) apply_kernel(Rows n, Lanes l, const T *x, SeLines a, T *y) {
  Share<W> w(n, l);
  if (!w.inside) return;
  Pack<W> scale = pack_load<W>(a.scale + w.channel), shift = pack_load<W>(a.shift + w.channel);
  Pack<W> gate = pack_load<W>(a.gate + w.image * n.channels + w.channel);
#pragma unroll 4
  for (long r = w.row; r < w.end; r += w.step) {
    long i = r * n.channels + w.channel;
    Pack<W> v = pack_load<W>(x + i);
    for (int k = 0; k < W; k++) v.v[k] = activated(ACT_SILU, v.v[k] * scale.v[k] + shift.v[k]) * gate.v[k];
    pack_store(y + i, v);
  }
}

int se_apply_on(CudaStream s, Rows n, Dtype dtype, const void *x, const SeLines *l, void *y) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, l->scale, l->shift, l->gate, y});
    LAUNCH_SHARES(apply_kernel, T, wide, s, n, (const T *)x, *l, (T *)y);
  });
  return launched("batch_norm_se");
}

static __global__ void gated_kernel(Rows n, SeLines l, float *scale, float *shift) {
  long i = INDEX, C = n.channels;
  if (i >= n.images * C) return;
  scale[i] = l.gate[i] * l.scale[i % C];
  shift[i] = l.gate[i] * l.shift[i % C];
}

int se_gated_on(CudaStream s, Rows n, const SeLines *l, float *scale, float *shift) {
  LAUNCH(gated_kernel, blocks_for(n.images * n.channels), THREADS, 0, s, n, *l, scale, shift);
  return launched("batch_norm_se");
}

/* ---- backward ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    sums_kernel(Rows n, Lanes l, const T *x, const T *dy, SeLines a, float *partial) {
  Share<W> w(n, l);
  Pack<W> sum[SE_SUMS] = {}, mean = {}, scale = {}, shift = {};
  if (w.inside) {
    mean = pack_load<W>(a.mean + w.channel);
    scale = pack_load<W>(a.scale + w.channel), shift = pack_load<W>(a.shift + w.channel);
  }
#pragma unroll 2
  for (long r = w.row; r < w.end; r += w.step) {
    Pack<W> own = pack_load<W>(x + r * n.channels + w.channel),
            d = pack_load<W>(dy + r * n.channels + w.channel);
    for (int k = 0; k < W; k++) {
      float v = own.v[k] * scale.v[k] + shift.v[k], open = SIGMOID(v), slope = SILU_SLOPE(v, open);
      float off = own.v[k] - mean.v[k];
      sum[SE_DY_U].v[k] += d.v[k] * (v * open);
      sum[SE_DY_A].v[k] += d.v[k] * slope;
      sum[SE_DY_AX].v[k] += d.v[k] * slope * off;
      sum[SE_A].v[k] += slope;
      sum[SE_AX].v[k] += slope * off;
    }
  }
  for (int j = 0; j < SE_SUMS; j++) {
    sum[j] = over_rows(sum[j], l.lanes);
    if (threadIdx.x < l.lanes && w.inside)
      pack_store(partial + (w.at * SE_SUMS + j) * n.channels + w.channel, sum[j]);
  }
}

int se_sums_on(CudaStream s, Rows n, Dtype dtype, const void *x, const void *dy, const SeLines *l,
               float *partial) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, dy, l->mean, l->scale, l->shift, partial});
    LAUNCH_SHARES(sums_kernel, T, wide, s, n, (const T *)x, (const T *)dy, *l, partial);
  });
  return launched("batch_norm_se");
}

/* A warp for a channel of an image. */
static __global__ void __launch_bounds__(THREADS)
    images_kernel(Rows n, const float *partial, SeLines l, const float *weight, const float *bias,
                  const float *inverse, const float *means, float *sums, float *d) {
  long i = (long)blockIdx.x * WARPS + threadIdx.x / WARP, C = n.channels, all = n.images * C, channel = i % C;
  if (i >= all) return;
  int count = means ? 2 : SE_SUMS, first = means ? SE_DY_A : 0;
  const float *from = partial + i / C * n.parts * count * C + channel;
  double sum[SE_SUMS] = {0};
  for (int j = 0; j < SE_SUMS; j++) {
    if (j < first || j >= first + count) continue;
    for (long p = threadIdx.x % WARP; p < n.parts; p += WARP)
      sum[j] += (double)from[(p * count + j - first) * C];
    sum[j] = warp_sum(sum[j]);
  }
  if (means) {
    double scale = (double)weight[channel] * (double)inverse[channel];
    sum[SE_DY_U] = scale * sum[SE_DY_AX] + (double)bias[channel] * sum[SE_DY_A];
    sum[SE_A] = (double)n.rows;
    sum[SE_AX] = (double)n.rows * ((double)means[i] - (double)l.mean[channel]);
  }
  if (threadIdx.x % WARP) return;
  for (int j = 0; j < SE_SUMS; j++) sums[j * all + i] = (float)sum[j];
  d[i] = (float)sum[SE_DY_U] * l.gate[i] * (1 - l.gate[i]);
}

int se_images_on(CudaStream s, Rows n, const float *partial, const SeLines *l, const float *weight,
                 const float *bias, const float *inverse, const float *means, float *sums, float *d) {
  LAUNCH(images_kernel, blocks_for(n.images * n.channels, WARPS), THREADS, 0, s, n, partial, *l, weight, bias,
         inverse, means, sums, d);
  return launched("batch_norm_se");
}

/* A warp for a channel: v's gradient is a (gate dz + pool). */
static __global__ void __launch_bounds__(THREADS)
    lines_kernel(Rows n, const float *sums, SeLines l, const float *inverse, double share, float *total,
                 float *slope, float *offset) {
  long i = (long)blockIdx.x * WARPS + threadIdx.x / WARP, C = n.channels, all = n.images * C;
  if (i >= C) return;
  double sum = 0, product = 0;
  for (long at = threadIdx.x % WARP * C + i; at < all; at += WARP * C) {
    double gate = (double)l.gate[at], pool = (double)l.pool[at];
    sum += gate * (double)sums[SE_DY_A * all + at] + pool * (double)sums[SE_A * all + at];
    product += gate * (double)sums[SE_DY_AX * all + at] + pool * (double)sums[SE_AX * all + at];
  }
  sum = warp_sum(sum), product = warp_sum(product);
  if (threadIdx.x % WARP) return;
  double a = (double)l.scale[i], h = (double)inverse[i];
  total[i] = (float)sum;
  total[C + i] = (float)product;
  slope[i] = (float)(-share * a * h * h * product);
  offset[i] = (float)(-share * a * sum);
}

int se_lines_on(CudaStream s, Rows n, const float *sums, const SeLines *l, const float *inverse, double share,
                float *total, float *slope, float *offset) {
  LAUNCH(lines_kernel, blocks_for(n.channels, WARPS), THREADS, 0, s, n, sums, *l, inverse, share, total,
         slope, offset);
  return launched("batch_norm_se");
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    back_kernel(Rows n, Lanes l, const T *x, const T *dy, SeLines a, T *dx, bool add) {
  Share<W> w(n, l);
  if (!w.inside) return;
  Pack<W> mean = pack_load<W>(a.mean + w.channel), scale = pack_load<W>(a.scale + w.channel),
          shift = pack_load<W>(a.shift + w.channel), slope = pack_load<W>(a.slope + w.channel),
          offset = pack_load<W>(a.offset + w.channel);
  Pack<W> gate = pack_load<W>(a.gate + w.image * n.channels + w.channel),
          more = pack_load<W>(a.pool + w.image * n.channels + w.channel);
#pragma unroll 2
  for (long r = w.row; r < w.end; r += w.step) {
    long i = r * n.channels + w.channel;
    Pack<W> own = pack_load<W>(x + i), d = pack_load<W>(dy + i);
    for (int k = 0; k < W; k++) {
      float v = own.v[k] * scale.v[k] + shift.v[k];
      d.v[k] = scale.v[k] * activation_back(ACT_SILU, v, gate.v[k] * d.v[k] + more.v[k]) +
               slope.v[k] * (own.v[k] - mean.v[k]) + offset.v[k];
    }
    pack_put(dx + i, d, add);
  }
}

int se_back_on(CudaStream s, Rows n, Dtype dtype, const void *x, const void *dy, const SeLines *l, void *dx,
               bool add) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, dy, l->mean, l->scale, l->shift, l->gate,
                                                               l->pool, l->slope, l->offset, dx});
    LAUNCH_SHARES(back_kernel, T, wide, s, n, (const T *)x, (const T *)dy, *l, (T *)dx, add);
  });
  return launched("batch_norm_se");
}

static __global__ void spread_kernel(Rows n, SeLines l, float *lines) {
  long i = INDEX, C = n.channels, all = n.images * C, channel = i % C;
  if (i >= all) return;
  lines[i] = l.mean[channel];
  lines[all + i] = l.scale[channel] * l.gate[i];
  lines[2 * all + i] = l.slope[channel];
  lines[3 * all + i] = l.offset[channel] + l.scale[channel] * l.pool[i];
}

int se_spread_on(CudaStream s, Rows n, const SeLines *l, float *lines) {
  LAUNCH(spread_kernel, blocks_for(n.images * n.channels), THREADS, 0, s, n, *l, lines);
  return launched("batch_norm_se");
}
