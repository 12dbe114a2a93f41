/* Backward: a pass over the maps that adds up, two launches for the layers of the gate, of which some blocks have the
 * gradients of weights, and a pass that writes. */
#include "cuda/kernels/squeeze_excite.h"

#include "cuda/kernels/last.h"
#include "cuda/kernels/norm_rows.h"

enum { WARP = 32, WARPS = THREADS / WARP };

/* ---- the maps' sums ---- */

/* What an image's sums come to, at one of its channels. */
static __device__ inline void put_image(const SeSums &to, const NormBack &b, long rows, long all, long at,
                                        long channel, const double (&given)[SE_SUMS]) {
  double sum[SE_SUMS];
  for (int j = 0; j < SE_SUMS; j++) sum[j] = given[j];
  if (to.means) {
    sum[SE_DY_U] = (double)to.weight[channel] * (double)to.inverse[channel] * sum[SE_DY_AX] +
                   (double)to.bias[channel] * sum[SE_DY_A];
    sum[SE_A] = (double)rows;
    sum[SE_AX] = (double)rows * ((double)to.means[at] - (double)b.mean[channel]);
  }
  for (int j = 0; j < SE_SUMS; j++) to.sums[j * all + at] = (float)sum[j];
  to.d[at] = (float)sum[SE_DY_U] * to.gate[at] * (1 - to.gate[at]);
}

template <int W> struct ChannelLines {
  Pack<W> mean, scale, shift;
  __device__ ChannelLines(const NormBack &b, const Share<W> &w) : mean{}, scale{}, shift{} {
    if (!w.inside) return;
    mean = pack_load<W>(b.mean + w.channel);
    scale = pack_load<W>(b.scale + w.channel), shift = pack_load<W>(b.shift + w.channel);
  }
};

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    silu_sums_kernel(Rows n, Lanes l, const __grid_constant__ NormBack b, float *partial, unsigned *counters,
                     const __grid_constant__ SeSums to) {
  Share<W> w(n, l);
  Pack<W> sum[SE_SUMS] = {};
  ChannelLines<W> line(b, w);
  auto load = [&](long i) { return back_row<T, W>(b, i, SlopeIs<OF_X>()); };
  rows_together<2>(n, w, load, [&](long, const BackRow<T, W> &row) {
    for (int k = 0; k < W; k++) {
      float x = widened(row.x.v[k]), d = widened(row.dy.v[k]), off = x - line.mean.v[k];
      float v = x * line.scale.v[k] + line.shift.v[k], open = SIGMOID(v), slope = SILU_SLOPE(v, open);
      sum[SE_DY_U].v[k] += d * (v * open);
      sum[SE_DY_A].v[k] += d * slope;
      sum[SE_DY_AX].v[k] += d * slope * off;
      sum[SE_A].v[k] += slope;
      sum[SE_AX].v[k] += slope * off;
    }
  });
  if (!image_sums(n, l, w, sum, partial, counters) || threadIdx.x >= l.lanes || !w.inside) return;
  for (int k = 0; k < W; k++) {
    double all[SE_SUMS];
    for (int j = 0; j < SE_SUMS; j++) all[j] = (double)sum[j].v[k];
    put_image(to, b, n.rows, n.images * n.channels, w.image * n.channels + w.channel + k, w.channel + k, all);
  }
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    relu_sums_kernel(Rows n, Lanes l, const __grid_constant__ NormBack b, float *partial, unsigned *counters,
                     const __grid_constant__ SeSums to) {
  Share<W> w(n, l);
  Pack<W> sum[2] = {};
  if (w.inside) sum_rows<T>(n, w, b, w.channel, sum);
  if (!image_sums(n, l, w, sum, partial, counters) || threadIdx.x >= l.lanes || !w.inside) return;
  for (int k = 0; k < W; k++) {
    double all[SE_SUMS] = {0};
    all[SE_DY_A] = (double)sum[0].v[k];
    all[SE_DY_AX] = (double)sum[1].v[k];
    put_image(to, b, n.rows, n.images * n.channels, w.image * n.channels + w.channel + k, w.channel + k, all);
  }
}

int se_sums_on(CudaStream s, Rows n, Dtype dtype, bool silu, const NormBack *b, float *partial,
               unsigned *counters, const SeSums *to) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 &&
                all_aligned16({b->x, b->dy, b->given, b->mean, b->scale, b->shift, partial});
    if (silu)
      LAUNCH_SHARES(silu_sums_kernel, T, wide, s, n, *b, partial, counters, *to);
    else
      LAUNCH_SHARES(relu_sums_kernel, T, wide, s, n, *b, partial, counters, *to);
  });
  return launched("batch_norm_se");
}

/* ---- the gate ---- */

/* Number i of the gradients of a layer's weights, out x in, and of its bias behind them. */
static __device__ inline void layer_weights(const SeLayer &e, long i) {
  float v = 0;
  if (i < e.in * e.out) {
    if (!e.dw) return;
    for (long r = 0; r < e.rows; r++) v += e.d[r * e.out + i / e.in] * e.a[r * e.in + i % e.in];
    e.dw[i] = (e.dw_add ? e.dw[i] : 0) + v;
  } else if ((i -= e.in * e.out) < e.out && e.db) {
    for (long r = 0; r < e.rows; r++) v += e.d[r * e.out + i];
    e.db[i] = (e.db_add ? e.db[i] : 0) + v;
  }
}

static unsigned weight_blocks(const SeLayer *e) { return blocks_for(e->out * (e->in + 1)); }

/* A block for 32 numbers of a row of h; its warps take every WARPS-th number of d. Then blocks for the weights. */
static __global__ void __launch_bounds__(THREADS)
    hidden_back_kernel(const __grid_constant__ SeLayer e, unsigned blocks, const float *before, bool silu,
                       float *h) {
  if (blockIdx.x >= (unsigned)e.rows * blocks)
    return layer_weights(e, (long)(blockIdx.x - (unsigned)e.rows * blocks) * THREADS + threadIdx.x);
  long row = blockIdx.x / blocks, column = blockIdx.x % blocks * WARP + threadIdx.x % WARP;
  Pack<1> v = {};
#pragma unroll 8
  for (long o = threadIdx.x / WARP; o < e.out && column < e.in; o += WARPS)
    v.v[0] += e.d[row * e.out + o] * e.w[o * e.in + column];
  v = over_rows(v, WARP);
  if (threadIdx.x >= WARP || column >= e.in) return;
  float b = before[row * e.in + column];
  h[row * e.in + column] = v.v[0] * (silu ? SILU_SLOPE(b, SIGMOID(b)) : (float)(b > 0));
}

int se_hidden_back_on(CudaStream s, const SeLayer *second, const float *before, bool silu, float *h) {
  unsigned blocks = blocks_for(second->in, WARP);
  if (!second->rows || !second->in) return 1;
  LAUNCH(hidden_back_kernel, (unsigned)second->rows * blocks + weight_blocks(second), THREADS, 0, s, *second,
         blocks, before, silu, h);
  return launched("batch_norm_se");
}

/* A block for 32 channels of all images: a number of w is read once for WARPS images, whose sums the warps then finish,
 * one each. Then blocks for the weights. */
static __global__ void __launch_bounds__(THREADS)
    pool_back_kernel(const __grid_constant__ SeLayer e, unsigned blocks, long rows, const float *sums,
                     const __grid_constant__ SeLines l, float *pool, const __grid_constant__ NormLines to) {
  __shared__ float part[WARPS][WARPS][WARP];
  __shared__ double totals[2][WARPS][WARP];
  if (blockIdx.x >= blocks) return layer_weights(e, (long)(blockIdx.x - blocks) * THREADS + threadIdx.x);
  int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  long C = e.in, all = e.rows * C, channel = (long)blockIdx.x * WARP + lane;
  double sum = 0, product = 0;
  for (long first = 0; first < e.rows; first += WARPS) {
    float v[WARPS] = {};
#pragma unroll 4
    for (long o = warp; o < e.out && channel < C; o += WARPS) {
      float w = e.w[o * C + channel];
      for (int i = 0; i < WARPS; i++) v[i] += first + i < e.rows ? e.d[(first + i) * e.out + o] * w : 0;
    }
    __syncthreads(); /* what was there before is read */
    for (int i = 0; i < WARPS; i++) part[i][warp][lane] = v[i];
    __syncthreads();
    long image = first + warp, at = image * C + channel;
    if (image >= e.rows || channel >= C) continue;
    float p = 0;
    for (int i = 0; i < WARPS; i++) p += part[warp][i][lane];
    pool[at] = p /= (float)rows;
    double gate = (double)l.gate[at];
    sum += gate * (double)sums[SE_DY_A * all + at] + (double)p * (double)sums[SE_A * all + at];
    product += gate * (double)sums[SE_DY_AX * all + at] + (double)p * (double)sums[SE_AX * all + at];
  }
  totals[0][warp][lane] = sum, totals[1][warp][lane] = product;
  __syncthreads();
  if (warp || channel >= C) return;
  for (int i = 1; i < WARPS; i++) sum += totals[0][i][lane], product += totals[1][i][lane];
  double h = (double)to.inverse[channel], a = (double)l.scale[channel];
  to.slope[channel] = (float)(-to.share * a * h * h * product);
  to.offset[channel] = (float)(-to.share * a * sum);
  if (to.dweight) to.dweight[channel] = (to.weight_add ? to.dweight[channel] : 0) + (float)(product * h);
  if (to.dbias) to.dbias[channel] = (to.bias_add ? to.dbias[channel] : 0) + (float)sum;
}

int se_pool_back_on(CudaStream s, const SeLayer *first, Rows n, const float *sums, const SeLines *l,
                    float *pool, const NormLines *to) {
  unsigned blocks = blocks_for(first->in, WARP);
  LAUNCH(pool_back_kernel, blocks + weight_blocks(first), THREADS, 0, s, *first, blocks, n.rows, sums, *l,
         pool, *to);
  return launched("batch_norm_se");
}

/* ---- the maps ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    back_kernel(Rows n, Lanes l, bool silu, const __grid_constant__ NormBack b,
                const __grid_constant__ SeLines a) {
  Share<W> w(n, l);
  if (!w.inside) return;
  ChannelLines<W> line(b, w);
  Pack<W> slope = pack_load<W>(a.slope + w.channel), offset = pack_load<W>(a.offset + w.channel);
  Pack<W> gate = pack_load<W>(a.gate + w.image * n.channels + w.channel),
          pool = pack_load<W>(a.pool + w.image * n.channels + w.channel);
  with_slope(b, [&](auto of) {
    auto load = [&](long i) { return back_row<T, W>(b, i, of); };
    rows_together<of.together>(n, w, load, [&](long i, const BackRow<T, W> &row) {
      Pack<W> d = silu ? widened(row.dy) : gradient(b, row, line.scale, line.shift, of);
      if (b.dr) pack_put((T *)b.dr + i, d, b.dr_add);
      if (!b.dx) return;
      for (int k = 0; k < W; k++) {
        float x = widened(row.x.v[k]), v = x * line.scale.v[k] + line.shift.v[k];
        float to = gate.v[k] * d.v[k] + pool.v[k];
        d.v[k] = line.scale.v[k] * (silu ? activation_back(ACT_SILU, v, to) : to) +
                 slope.v[k] * (x - line.mean.v[k]) + offset.v[k];
      }
      pack_put((T *)b.dx + i, d, b.dx_add);
    });
  });
}

int se_back_on(CudaStream s, Rows n, Dtype dtype, bool silu, const NormBack *b, const SeLines *l) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide =
        n.channels % wide_of<T> == 0 && all_aligned16({b->x, b->dy, b->given, b->mean, b->scale, b->shift,
                                                       b->dx, b->dr, l->gate, l->pool, l->slope, l->offset});
    LAUNCH_SHARES(back_kernel, T, wide, s, n, silu, *b, *l);
  });
  return launched("batch_norm_se");
}
