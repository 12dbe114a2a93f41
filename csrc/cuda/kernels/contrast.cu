/* `lanes` threads share a pixel and add what they see of its channels; where it has more of them than a block takes,
 * blocks beside each other see the whole pixel and sum their own channels. */
#include "cuda/kernels/contrast.h"

#include "cuda/kernels/channels.h"
#include "cuda/kernels/sums.h"
#include "cuda/kernels/team.h"
#include "ops/bodies_contrast.h"

/* What a class's means of an image are in `of`. */
static __device__ inline const float *mean_of(const Contrast &a, const float *of, long image, int k) {
  return of + ((a.groups == 1 ? 0 : image) * CLASSES + k) * a.rows.channels;
}

template <int W> static __device__ inline float dot(const Pack<W> &x, const Pack<W> &y) {
  float v = 0;
  for (int k = 0; k < W; k++) v += x.v[k] * y.v[k];
  return v;
}

/* A pixel after the other, for whole warps: all threads of a block take as many steps. */
template <int W> struct Pixels : Share<W> {
  long last;
  unsigned lane;
  __device__ Pixels(const Rows &n, const Lanes &l) : Share<W>(n, l) {
    long first = this->row - threadIdx.x / l.lanes, part = this->at % n.parts * n.length;
    last = first + (part + n.length < n.rows ? n.length : n.rows - part);
    lane = threadIdx.x % l.lanes;
  }
  /* From this row on some thread of the block has a pixel. */
  __device__ bool more(long r) const { return r - threadIdx.x / (unsigned)(THREADS / this->step) < last; }
};

/* ---- the class means ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    sums_kernel(Rows, Lanes l, Contrast a, float *partial, float *counts) {
  long C = a.rows.channels;
  Pixels<W> w(a.rows, l);
  bool first = w.channel == 0; /* who speaks for the pixel */
  Pack<W> sum[CLASSES] = {};
  float count[CLASSES] = {};
  for (long r = w.row; w.more(r); r += w.step) {
    bool there = r < w.last;
    Pack<W> own = {};
    float square = 0, inverse = 1;
    if (there && w.inside) own = pack_load<W>((const T *)a.z + r * C + w.channel);
    if (a.normalise) {
      if (l.blocks == 1)
        square = dot(own, own);
      else
        for (long c = w.lane * W; there && c < C; c += l.lanes * W) {
          Pack<W> v = pack_load<W>((const T *)a.z + r * C + c);
          square += dot(v, v);
        }
      float norm = sqrtf(warp_all(square, (int)l.lanes, Add()));
      inverse = 1 / (norm < 1e-8f ? 1e-8f : norm);
    }
    if (!there) continue;
    float label = a.label[r];
    for (int c = 0; c < CLASSES; c++) {
      float share = label == (float)(c + 1) ? inverse : 0;
      count[c] += label == (float)(c + 1);
      for (int k = 0; k < W; k++) sum[c].v[k] += share * own.v[k];
    }
    if (!first) continue;
    if (a.normalise) a.inverse[r] = inverse;
    if (label != 0 && label != 1 && label != 2 && label != 3)
      refuse_on(a.refusals, REFUSE_PART, CLASSES, (double)label, 0);
  }
  for (int c = 0; c < CLASSES; c++) {
    sum[c] = over_rows(sum[c], l.lanes);
    if (threadIdx.x < l.lanes && w.inside) pack_store(partial + (w.at * CLASSES + c) * C + w.channel, sum[c]);
    count[c] = block_sum(first ? count[c] : 0);
    if (threadIdx.x == 0 && first) counts[w.at * CLASSES + c] = count[c];
  }
}

int contrast_sums_on(CudaStream s, const Contrast *a, float *partial, float *counts) {
  const Rows &n = a->rows;
  if (!n.images || !n.channels) return 1;
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({a->z, partial});
    LAUNCH_SHARES(sums_kernel, T, wide, s, n, *a, partial, counts);
  });
  return launched("embedding_loss");
}

/* One block: what a pixel of each class counts. */
static __global__ void __launch_bounds__(THREADS) weights_kernel(Contrast a, const float *counts) {
  float used = 0;
  for (long i = threadIdx.x / warpSize; i < a.rows.images; i += THREADS / warpSize) {
    double number[CLASSES], present = 0;
    for (int c = 0; c < CLASSES; c++) {
      double n = 0;
      for (long p = threadIdx.x % warpSize; p < a.rows.parts; p += warpSize)
        n += (double)counts[(i * a.rows.parts + p) * CLASSES + c];
      number[c] = warp_sum(n);
      present += number[c] > 0;
    }
    if (threadIdx.x % warpSize) continue;
    used += present > 0;
    for (int c = 0; c < CLASSES; c++) {
      a.numbers[i * CLASSES + c] = (float)number[c];
      a.weight[i * CLASSES + c] = number[c] > 0 ? (float)(1 / (number[c] * present)) : 0;
    }
  }
  used = block_sum(used);
  for (long i = threadIdx.x; i < a.rows.images * CLASSES; i += THREADS) a.weight[i] /= used > 0 ? used : 1;
}

/* What the length of a class's mean makes of it. */
static __device__ inline double factor_of(const Contrast &a, double length) {
  return a.normalise ? a.scale / (length > 1e-8 ? length : 1e-8) : 1;
}

/* A block for a class of a group. */
static __global__ void __launch_bounds__(THREADS) means_kernel(Contrast a, const float *total) {
  long set = blockIdx.x, C = a.rows.channels;
  const float *from = total + set * C;
  double n = 0, square = 0;
  if (a.groups == 1)
    for (long i = threadIdx.x; i < a.rows.images; i += THREADS) n += (double)a.numbers[i * CLASSES + set];
  else if (threadIdx.x == 0)
    n = (double)a.numbers[set];
  n = block_sum(n);
  for (long i = threadIdx.x; i < C; i += THREADS) {
    double m = n > 0 ? (double)from[i] / n : 0;
    square += m * m;
  }
  double length = sqrt(block_sum(square)), factor = factor_of(a, length);
  for (long i = threadIdx.x; i < C; i += THREADS)
    a.means[set * C + i] = n > 0 ? (float)((double)from[i] / n * factor) : 0;
  if (threadIdx.x) return;
  a.count[set] = (float)n;
  a.length[set] = (float)length;
}

int contrast_means_on(CudaStream s, const Contrast *a, const float *counts, const float *total) {
  LAUNCH(weights_kernel, 1, THREADS, 0, s, *a, counts);
  if (a->groups) LAUNCH(means_kernel, (unsigned)(a->groups * CLASSES), THREADS, 0, s, *a, total);
  return launched("embedding_loss");
}

/* ---- the loss ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    contrast_kernel(Rows, Lanes l, Contrast a, float *partial, float *losses) {
  long C = a.rows.channels, all = a.rows.images * a.rows.rows;
  Pixels<W> w(a.rows, l);
  bool first = w.channel == 0, present[CLASSES];
  float weight[CLASSES], loss = 0;
  const float *mean[CLASSES];
  Pack<W> sum[CLASSES] = {};
  for (int c = 0; c < CLASSES; c++) {
    present[c] = a.count[(a.groups == 1 ? 0 : w.image) * CLASSES + c] > 0;
    weight[c] = a.weight[w.image * CLASSES + c];
    mean[c] = mean_of(a, a.means, w.image, c);
  }
  for (long r = w.row; w.more(r); r += w.step) {
    bool there = r < w.last;
    float inverse = there && a.normalise ? a.inverse[r] : 1, label = there ? a.label[r] : 0, g[CLASSES] = {};
    for (long c = w.lane * W; there && c < C; c += l.lanes * W) {
      Pack<W> v = pack_load<W>((const T *)a.z + r * C + c);
      for (int k = 0; k < CLASSES; k++) g[k] += dot(v, pack_load<W>(mean[k] + c));
    }
    for (int k = 0; k < CLASSES; k++) {
      g[k] = warp_all(g[k], (int)l.lanes, Add());
      g[k] = present[k] ? g[k] * inverse : -1e30f;
    }
    float own = contrast_at(label, weight[0], weight[1], weight[2], a.log_eps, g, g + 1, g + 2);
    if (!there) continue;
    if (first) loss += own;
    if (!a.logits) continue;
    for (int k = 0; k < CLASSES && first; k++) a.logits[k * all + r] = g[k];
    if (!w.inside) continue;
    Pack<W> v = pack_load<W>((const T *)a.z + r * C + w.channel);
    for (int k = 0; k < CLASSES; k++)
      for (int i = 0; i < W; i++) sum[k].v[i] += g[k] * inverse * v.v[i];
  }
  loss = block_sum(loss);
  if (threadIdx.x == 0 && first) losses[w.at] = loss;
  for (int k = 0; k < CLASSES && a.logits; k++) {
    sum[k] = over_rows(sum[k], l.lanes);
    if (threadIdx.x < l.lanes && w.inside) pack_store(partial + (w.at * CLASSES + k) * C + w.channel, sum[k]);
  }
}

int contrast_on(CudaStream s, const Contrast *a, float *partial, float *losses) {
  const Rows &n = a->rows;
  if (!n.images || !n.channels) return 1;
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({a->z, a->means, partial});
    LAUNCH_SHARES(contrast_kernel, T, wide, s, n, *a, partial, losses);
  });
  return launched("embedding_loss");
}

static __global__ void __launch_bounds__(THREADS) loss_kernel(Contrast a, const float *losses, float *y) {
  double total = 0;
  for (long i = threadIdx.x; i < a.rows.images * a.rows.parts; i += THREADS) total += (double)losses[i];
  total = block_sum(total);
  if (threadIdx.x == 0) *y = *a.refusals.call ? NAN : (float)total;
}

/* A block for a class of a group: d loss / d mean over the number of its pixels. */
static __global__ void __launch_bounds__(THREADS) pulls_kernel(Contrast a, const float *total) {
  long set = blockIdx.x, C = a.rows.channels;
  const float *z = a.means + set * C, *from = total + set * C;
  double n = (double)a.count[set], length = (double)a.length[set], along = 0;
  double factor = factor_of(a, length) / (n > 0 ? n : 1);
  if (a.normalise && length > 1e-8 && a.scale != 0)
    for (long i = threadIdx.x; i < C; i += THREADS)
      along += (double)from[i] * (double)z[i] / (a.scale * a.scale);
  along = block_sum(along);
  for (long i = threadIdx.x; i < C; i += THREADS)
    a.pulls[set * C + i] = (float)(factor * ((double)from[i] - along * (double)z[i]));
}

int contrast_end_on(CudaStream s, const Contrast *a, const float *losses, const float *total, float *y) {
  LAUNCH(loss_kernel, 1, THREADS, 0, s, *a, losses, y);
  if (a->logits && a->groups) LAUNCH(pulls_kernel, (unsigned)(a->groups * CLASSES), THREADS, 0, s, *a, total);
  return launched("embedding_loss");
}

/* ---- backward ---- */

/* d loss / d embedding of a pixel at channel c: through the logits, and its class's pull. */
template <int W>
static __device__ inline Pack<W> embedding_back(const Contrast &a, long image, long c, const float *g,
                                                int label) {
  Pack<W> e = {};
  for (int k = 0; k < CLASSES; k++) {
    Pack<W> z = pack_load<W>(mean_of(a, a.means, image, k) + c);
    for (int i = 0; i < W; i++) e.v[i] += g[k] * z.v[i];
  }
  if (!label) return e;
  Pack<W> pull = pack_load<W>(mean_of(a, a.pulls, image, label - 1) + c);
  for (int i = 0; i < W; i++) e.v[i] += g[CLASSES] * pull.v[i];
  return e;
}

/* l.blocks is 1: a block takes all channels. */
template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    back_kernel(Lanes l, Contrast a, const float *dy, T *dz, bool add) {
  long C = a.rows.channels, all = a.rows.images * a.rows.rows;
  Pixels<W> w(a.rows, l);
  bool refused = *a.refusals.call;
  float by = *dy;
  for (long r = w.row; w.more(r); r += w.step) {
    bool there = r < w.last;
    int label = there && !refused ? (int)a.label[r] : 0;
    float inverse = there && a.normalise && !refused ? a.inverse[r] : 1, g[CLASSES + 1] = {}, along = 0;
    for (int k = 0; k < CLASSES && there && !refused; k++) g[k] = by * a.logits[k * all + r];
    g[CLASSES] = by;
    if (a.normalise && !refused) { /* below the smallest norm the scale is a constant */
      for (long c = w.lane * W; there && c < C; c += l.lanes * W)
        along += dot(pack_load<W>((const T *)a.z + r * C + c), embedding_back<W>(a, w.image, c, g, label));
      along = warp_all(along, (int)l.lanes, Add());
      along = inverse < 1e8f ? along * inverse * inverse : 0;
    }
    for (long c = w.lane * W; there && c < C; c += l.lanes * W) {
      Pack<W> e = {}, v = {};
      if (!refused)
        e = embedding_back<W>(a, w.image, c, g, label), v = pack_load<W>((const T *)a.z + r * C + c);
      for (int i = 0; i < W; i++) e.v[i] = inverse * (e.v[i] - v.v[i] * along);
      pack_put(dz + r * C + c, e, add);
    }
  }
}

template <class T, int W>
static void back(CudaStream s, const Contrast &a, const float *dy, T *dz, bool add) {
  Lanes l = lanes_of(a.rows.channels, W);
  l.blocks = 1;
  LAUNCH((back_kernel<T, W>), share_blocks(a.rows, l), THREADS, 0, s, l, a, dy, dz, add);
}

int contrast_back_on(CudaStream s, const Contrast *a, const float *dy, void *dz, bool add) {
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = a->rows.channels % wide_of<T> == 0 && all_aligned16({a->z, a->means, a->pulls, dz});
    if (wide)
      back<T, wide_of<T>>(s, *a, dy, (T *)dz, add);
    else
      back<T, 1>(s, *a, dy, (T *)dz, add);
  });
  return launched("embedding_loss");
}
