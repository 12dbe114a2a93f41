/* `lanes` threads share a pixel and add what they see of its channels; where it has more of them than a block takes,
 * blocks beside each other see the whole pixel and sum their own channels. What follows from a pass's sums its last block
 * computes (last.h): three passes over Z are the fewest, since no logit is known before all means are, and no gradient
 * before all logits. */
#include "cuda/kernels/contrast.h"

#include "cuda/kernels/last.h"
#include "cuda/kernels/sums.h"
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

/* A block's sums of every class become those of its image, a.total. Whether this is the last block of all, for which all
 * of them are there. */
template <int W>
static __device__ inline bool all_sums(const Contrast &a, const Lanes &l, const Pixels<W> &w,
                                       Pack<W> (&sum)[CLASSES]) {
  const Rows &n = a.rows;
  if (!image_sums(n, l, w, sum, a.partial, a.counters)) return false;
  if (threadIdx.x < l.lanes && w.inside)
    for (int c = 0; c < CLASSES; c++)
      pack_store(a.total + (w.image * CLASSES + c) * n.channels + w.channel, sum[c]);
  return is_last(a.counters + n.images * l.blocks, (unsigned)n.images * l.blocks);
}

/* A group's sum of a class at channel i. */
static __device__ inline double total_of(const Contrast &a, long set, long i) {
  long C = a.rows.channels;
  if (a.groups > 1) return (double)a.total[set * C + i];
  double v = 0;
  for (long image = 0; image < a.rows.images; image++) v += (double)a.total[(image * CLASSES + set) * C + i];
  return v;
}

/* What the length of a class's mean makes of it. */
static __device__ inline double factor_of(const Contrast &a, double length) {
  return a.normalise ? a.scale / (length > 1e-8 ? length : 1e-8) : 1;
}

/* A block's warps take one thing after the other: i, of so many; lane. */
#define EACH_WARP(i, count) for (long i = threadIdx.x / warpSize; i < (count); i += THREADS / warpSize)
#define EACH_LANE(i, count) for (long i = threadIdx.x % warpSize; i < (count); i += warpSize)

/* ---- the class means ---- */

/* One block: what a pixel of each class counts. */
static __device__ inline void put_weights(const Contrast &a) {
  float used = 0;
  EACH_WARP(i, a.rows.images) {
    double number[CLASSES], present = 0;
    for (int c = 0; c < CLASSES; c++) {
      double n = 0;
      EACH_LANE(p, a.rows.parts) n += (double)a.counts[(i * a.rows.parts + p) * CLASSES + c];
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

/* The block behind put_weights, a warp for a class of a group. */
static __device__ inline void put_means(const Contrast &a) {
  long C = a.rows.channels;
  EACH_WARP(set, a.groups * CLASSES) {
    double n = 0, square = 0;
    EACH_LANE(i, a.groups > 1 ? 1 : a.rows.images)
    n += (double)a.numbers[a.groups > 1 ? set : i * CLASSES + set];
    n = warp_sum(n);
    EACH_LANE(i, C) {
      double m = n > 0 ? total_of(a, set, i) / n : 0;
      square += m * m;
    }
    double length = sqrt(warp_sum(square)), factor = factor_of(a, length);
    EACH_LANE(i, C) a.means[set * C + i] = n > 0 ? (float)(total_of(a, set, i) / n * factor) : 0;
    if (threadIdx.x % warpSize) continue;
    a.count[set] = (float)n;
    a.length[set] = (float)length;
  }
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS,
                                         W > 4 ? 3 : 4) /* else registers are spilled for occupancy */
    sums_kernel(Rows, Lanes l, const __grid_constant__ Contrast a) {
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
    count[c] = block_sum(first ? count[c] : 0);
    if (threadIdx.x == 0 && first) a.counts[w.at * CLASSES + c] = count[c];
  }
  if (!all_sums(a, l, w, sum)) return;
  put_weights(a);
  __syncthreads();
  put_means(a);
}

int contrast_sums_on(CudaStream s, const Contrast *a) {
  const Rows &n = a->rows;
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({a->z, a->partial, a->total});
    LAUNCH_SHARES(sums_kernel, T, wide, s, n, *a);
  });
  return launched("embedding_loss");
}

/* ---- the loss ---- */

/* One block: the loss. */
static __device__ inline void put_loss(const Contrast &a, float *y) {
  double total = 0;
  for (long i = threadIdx.x; i < a.rows.images * a.rows.parts; i += THREADS) total += (double)a.losses[i];
  total = block_sum(total);
  if (threadIdx.x == 0) *y = *a.refusals.call ? NAN : (float)total;
}

/* The same block, a warp for a class of a group: d loss / d mean over the number of its pixels. */
static __device__ inline void put_pulls(const Contrast &a) {
  long C = a.rows.channels;
  EACH_WARP(set, a.groups * CLASSES) {
    const float *z = a.means + set * C;
    double n = (double)a.count[set], length = (double)a.length[set], along = 0;
    double factor = factor_of(a, length) / (n > 0 ? n : 1);
    if (a.normalise && length > 1e-8 && a.scale != 0)
      EACH_LANE(i, C) along += total_of(a, set, i) * (double)z[i] / (a.scale * a.scale);
    along = warp_sum(along);
    EACH_LANE(i, C) a.pulls[set * C + i] = (float)(factor * (total_of(a, set, i) - along * (double)z[i]));
  }
}

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    contrast_kernel(Rows, Lanes l, const __grid_constant__ Contrast a, float *y) {
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
  if (threadIdx.x == 0 && first) a.losses[w.at] = loss;
  if (!(a.logits ? all_sums(a, l, w, sum) : is_last(a.counters, gridDim.x))) return;
  put_loss(a, y);
  if (a.logits) put_pulls(a);
}

int contrast_on(CudaStream s, const Contrast *a, float *y) {
  const Rows &n = a->rows;
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({a->z, a->means, a->partial, a->total});
    LAUNCH_SHARES(contrast_kernel, T, wide, s, n, *a, y);
  });
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
