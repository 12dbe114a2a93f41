/* Forward. The gate is small: a warp for each number of its first layer; what the second one comes to every block of the
 * last pass finds for its own channels. */
#include "cuda/kernels/squeeze_excite.h"

#include "cuda/kernels/last.h"
#include "cuda/kernels/norm_gradient.h"
#include "cuda/kernels/sums.h"

enum { WARP = 32, WARPS = THREADS / WARP, MOST = WARP * wide_of<Half> }; /* channels of a block */

/* Number (row, o) of a layer's sums, for every thread of the warp. */
static __device__ inline float layer_at(const SeLayer &e, long row, long o) {
  const float *p = e.a + row * e.in, *q = e.w + o * e.in;
  float v = 0;
  for (long i = threadIdx.x % WARP; i < e.in; i += WARP) v += p[i] * q[i];
  return warp_sum(v) + e.bias[o];
}

static __global__ void __launch_bounds__(THREADS)
    hidden_kernel(const __grid_constant__ SeLayer e, bool silu, float *before, float *y) {
  long at = (long)blockIdx.x * WARPS + threadIdx.x / WARP;
  if (at >= e.rows * e.out) return;
  float v = layer_at(e, at / e.out, at % e.out);
  if (threadIdx.x % WARP) return;
  before[at] = v;
  y[at] = silu ? SILU(v) : v < 0 ? 0 : v;
}

int se_hidden_on(CudaStream s, const SeLayer *first, bool silu, float *before, float *y) {
  long n = first->rows * first->out;
  if (!n) return 1;
  LAUNCH(hidden_kernel, blocks_for(n, WARPS), THREADS, 0, s, *first, silu, before, y);
  return launched("batch_norm_se");
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS,
                                         W > 4 ? 2 : 4) /* else registers are spilled for occupancy */
    pool_kernel(Rows n, Lanes l, const T *x, const __grid_constant__ SeLines a, float *partial,
                unsigned *counters, float *pooled) {
  Share<W> w(n, l);
  Pack<W> sum[1] = {}, scale = {}, shift = {};
  if (w.inside) scale = pack_load<W>(a.scale + w.channel), shift = pack_load<W>(a.shift + w.channel);
  auto load = [&](long i) { return line_load_whole<W>(x + i); };
  rows_together<4>(n, w, load, [&](long, const Line<T, W> &row) {
    for (int k = 0; k < W; k++)
      sum[0].v[k] += activated(ACT_SILU, widened(row.v[k]) * scale.v[k] + shift.v[k]);
  });
  if (!image_sums(n, l, w, sum, partial, counters) || threadIdx.x >= l.lanes || !w.inside) return;
  for (int k = 0; k < W; k++) pooled[w.image * n.channels + w.channel + k] = sum[0].v[k] / (float)n.rows;
}

int se_pool_on(CudaStream s, Rows n, Dtype dtype, const void *x, const SeLines *l, float *partial,
               unsigned *counters, float *pooled) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, l->scale, l->shift, partial});
    LAUNCH_SHARES(pool_kernel, T, wide, s, n, (const T *)x, *l, partial, counters, pooled);
  });
  return launched("batch_norm_se");
}

/* The gate of a block's channels, from the first of its threads' on, into shared memory; of an image's first part into
 * `gate`, too. A warp takes every WARPS-th channel. All threads call it. */
static __device__ inline void open_gates(const Rows &n, const SeLayer &second, long image, bool first_part,
                                         long first, long count, float *gate, float *gates) {
  int warp = threadIdx.x / WARP;
#pragma unroll 4
  for (long i = warp; i < count; i += WARPS) {
    float v = SIGMOID(layer_at(second, image, first + i));
    if (threadIdx.x % WARP) continue;
    gates[i] = v;
    if (first_part) gate[image * n.channels + first + i] = v;
  }
  __syncthreads();
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    apply_kernel(Rows n, Lanes l, const T *x, const __grid_constant__ SeLines a,
                 const __grid_constant__ SeLayer second, float *gate, bool silu, const T *residual, T *y,
                 unsigned char *mask) {
  __shared__ float gates[MOST];
  Share<W> w(n, l);
  long first = (long)(blockIdx.x % l.blocks) * l.lanes * W;
  if (gate)
    open_gates(n, second, w.image, w.at % n.parts == 0, first, min((long)l.lanes * W, n.channels - first),
               gate, gates);
  if (!w.inside) return;
  Pack<W> scale = pack_load<W>(a.scale + w.channel), shift = pack_load<W>(a.shift + w.channel), open;
  for (int k = 0; k < W; k++)
    open.v[k] = gate ? gates[w.channel - first + k] : a.gate[w.image * n.channels + w.channel + k];
  auto load = [&](long i) { return apply_row<W>(x, residual, i); };
  rows_together<4>(n, w, load, [&](long i, const ApplyRow<T, W> &row) {
    Pack<W> v;
    for (int k = 0; k < W; k++) {
      float u = widened(row.x.v[k]) * scale.v[k] + shift.v[k];
      v.v[k] = silu ? activated(ACT_SILU, u) * open.v[k]
                    : activated(ACT_RELU, open.v[k] * u + widened(row.residual.v[k]));
    }
    pack_store(y + i, v);
    if (mask) put_mask<T>(mask, i, ACT_RELU, v);
  });
}

int se_apply_on(CudaStream s, Rows n, Dtype dtype, const void *x, const SeLines *l, const SeLayer *second,
                float *gate, bool silu, const void *residual, void *y, unsigned char *mask) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({x, l->scale, l->shift, residual, y});
    LAUNCH_SHARES(apply_kernel, T, wide, s, n, (const T *)x, *l, *second, gate, silu, (const T *)residual,
                  (T *)y, mask);
  });
  return launched("batch_norm_se");
}
