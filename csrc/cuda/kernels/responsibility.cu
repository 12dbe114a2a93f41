/* Forward reads K once: `lanes` threads a pixel. What backward knows of it are the derivatives by the scores, so dK is
 * written without K; dQ, a vector for each hand, takes K once more. */
#include "cuda/kernels/responsibility.h"

#include "cuda/kernels/channels.h"
#include "cuda/kernels/sums.h"
#include "cuda/kernels/team.h"
#include "ops/bodies_responsibility.h"

/* The image (from 0) of hand m. */
static __device__ inline long image_of(const Responsibility &a, long m) {
  return a.image ? (long)a.image[m] - 1 : m;
}

/* Where Q holds hand m's query vector. */
static __device__ inline long query_at(const Responsibility &a, long m) {
  const float *xy = a.queries + 2 * m;
  return ((image_of(a, m) * a.h + nearest_pixel(xy[1], a.h)) * a.w + nearest_pixel(xy[0], a.w)) * a.c;
}

/* Whether hand m's image and query make sense; a thread that `says` so refuses them. */
static __device__ inline bool sensible(const Responsibility &a, long m, bool says) {
  float image = a.image ? a.image[m] : (float)(m + 1), x = a.queries[2 * m], y = a.queries[2 * m + 1];
  bool found = image >= 1 && image <= (float)a.images && floorf(image) == image, place = x == x && y == y;
  if (says && !found)
    refuse_on(a.refusals, REFUSE_IMAGE, (double)(m + 1), (double)a.images, (double)image);
  else if (says && !place)
    refuse_on(a.refusals, REFUSE_QUERY, (double)(m + 1), (double)x, (double)y);
  return found && place;
}

/* ---- forward ---- */

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    scores_kernel(Rows n, unsigned lanes, Responsibility a, float *partial) {
  long hand = blockIdx.x / n.parts, part = blockIdx.x % n.parts, first = part * n.length;
  long end = first + n.length < n.rows ? first + n.length : n.rows, lane = threadIdx.x % lanes,
       begin = lane * W;
  if (!sensible(a, hand, part == 0 && threadIdx.x == 0)) return; /* the whole block */
  const T *k = (const T *)a.k + image_of(a, hand) * n.rows * n.channels,
          *q = (const T *)a.q + query_at(a, hand);
  Pack<W> own = {};
  if (first < end && begin < n.channels) own = pack_load<W>(q + begin);
  float total = 0, count = 0;
  for (long at = first; at < end; at += THREADS / lanes) { /* whole warps stay */
    long p = at + threadIdx.x / lanes;
    float score = 0;
    if (p < end)
      for (long c = begin; c < n.channels; c += lanes * W) {
        Pack<W> v = pack_load<W>(k + p * n.channels + c), with = c == begin ? own : pack_load<W>(q + c);
        for (int i = 0; i < W; i++) score += v.v[i] * with.v[i];
      }
    score = warp_all(score, (int)lanes, Add());
    if (p >= end || lane) continue;
    float r = a.r[hand * n.rows + p];
    bool counts = !(r < 0);
    total += counts ? responsibility_size(score, r) : 0;
    count += counts;
    if (a.slope) a.slope[hand * n.rows + p] = counts ? responsibility_slope(score, r, a.through) : 0;
  }
  total = block_sum(total);
  count = block_sum(count);
  if (threadIdx.x) return;
  partial[2 * blockIdx.x] = total;
  partial[2 * blockIdx.x + 1] = count;
}

/* One block: the loss, and what a pixel of each hand counts in it. */
static __global__ void __launch_bounds__(THREADS)
    total_kernel(long hands, long parts, Responsibility a, const float *partial, float *y) {
  double total = 0, used = 0;
  if (*a.refusals.call) {
    if (threadIdx.x == 0) *y = NAN;
    return;
  }
  for (long m = threadIdx.x / warpSize; m < hands; m += THREADS / warpSize) {
    double loss = 0, count = 0;
    for (long p = threadIdx.x % warpSize; p < parts; p += warpSize) {
      loss += (double)partial[2 * (m * parts + p)];
      count += (double)partial[2 * (m * parts + p) + 1];
    }
    loss = warp_sum(loss), count = warp_sum(count);
    if (threadIdx.x % warpSize) continue;
    a.weight[m] = count > 0 ? (float)(1 / count) : 0;
    total += count > 0 ? loss / count : 0;
    used += count > 0;
  }
  total = block_sum(total), used = block_sum(used);
  for (long m = threadIdx.x; m < hands && used > 0; m += THREADS)
    a.weight[m] = (float)((double)a.weight[m] / used);
  if (threadIdx.x == 0) *y = used > 0 ? (float)(total / used) : 0;
}

int responsibility_on(CudaStream s, Rows n, const Responsibility *a, float *partial, float *y) {
  unsigned blocks = (unsigned)(n.images * n.parts);
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    constexpr int W = wide_of<T>;
    if (blocks && n.channels % W == 0 && all_aligned16({a->q, a->k}))
      LAUNCH((scores_kernel<T, W>), blocks, THREADS, 0, s, n, lanes_of(n.channels, W).lanes, *a, partial);
    else if (blocks)
      LAUNCH((scores_kernel<T, 1>), blocks, THREADS, 0, s, n, lanes_of(n.channels, 1).lanes, *a, partial);
  });
  LAUNCH(total_kernel, 1, THREADS, 0, s, n.images, n.parts, *a, partial, y);
  return launched("responsibility_loss");
}

/* ---- backward ---- */

/* The hands of an image, one after the other. */
template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    k_kernel(Rows n, Lanes l, Responsibility a, const float *dy, T *dk, bool add) {
  Share<W> w(n, l);
  if (!w.inside) return;
  long hands = *a.refusals.call ? 0 : a.hands;
  for (long m = 0; m < hands; m++) {
    if (image_of(a, m) != w.image) continue;
    const float *slope = a.slope + (m - w.image) * n.rows;
    float factor = *dy * a.weight[m];
    Pack<W> q = pack_load<W>((const T *)a.q + query_at(a, m) + w.channel);
    for (int k = 0; k < W; k++) q.v[k] *= factor;
#pragma unroll 4
    for (long r = w.row; r < w.end; r += w.step) {
      Pack<W> v = q;
      for (int k = 0; k < W; k++) v.v[k] *= slope[r];
      pack_put(dk + r * n.channels + w.channel, v, add);
    }
    add = true;
  }
  for (long r = w.row; r < w.end && !add; r += w.step) pack_store(dk + r * n.channels + w.channel, Pack<W>());
}

int responsibility_k_on(CudaStream s, const Responsibility *a, const float *dy, void *dk, bool add) {
  Rows n = rows_cut(a->images, a->h * a->w, a->c);
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({a->q, dk});
    LAUNCH_SHARES(k_kernel, T, wide, s, n, *a, dy, (T *)dk, add);
  });
  return launched("responsibility_loss");
}

/* n counts hands in place of images. */
template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    q_kernel(Rows n, Lanes l, Responsibility a, float *partial) {
  if (*a.refusals.call) return;
  Share<W> w(n, l);
  const T *k = (const T *)a.k + ((image_of(a, w.image) - w.image) * n.rows) * n.channels;
  Pack<W> sum = {};
#pragma unroll 4
  for (long r = w.row; r < w.end; r += w.step) {
    float slope = a.slope[r];
    Pack<W> v = pack_load<W>(k + r * n.channels + w.channel);
    for (int i = 0; i < W; i++) sum.v[i] += slope * v.v[i];
  }
  sum = over_rows(sum, l.lanes);
  if (threadIdx.x < l.lanes && w.inside) pack_store(partial + w.at * n.channels + w.channel, sum);
}

/* A block for a hand and THREADS channels: the first hand of a place adds for all of them. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    place_kernel(Rows n, long blocks, Responsibility a, const float *dy, const float *partial, T *dq) {
  long hand = blockIdx.x / blocks, channel = blockIdx.x % blocks * THREADS + threadIdx.x;
  if (*a.refusals.call || channel >= n.channels) return;
  long place = query_at(a, hand);
  for (long m = 0; m < hand; m++)
    if (query_at(a, m) == place) return;
  double total = 0;
  for (long m = hand; m < n.images; m++) {
    double sum = 0;
    if (query_at(a, m) != place) continue;
    for (long p = 0; p < n.parts; p++) sum += (double)partial[(m * n.parts + p) * n.channels + channel];
    total += sum * (double)*dy * (double)a.weight[m];
  }
  T *to = dq + place + channel;
  narrowed(widened(*to) + (float)total, to);
}

int responsibility_q_on(CudaStream s, Rows n, const Responsibility *a, const float *dy, float *partial,
                        void *dq) {
  long blocks = blocks_for(n.channels);
  if (!n.images) return 1;
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({a->k, partial});
    LAUNCH_SHARES(q_kernel, T, wide, s, n, *a, partial);
    LAUNCH(place_kernel<T>, (unsigned)(n.images * blocks), THREADS, 0, s, n, blocks, *a, dy, partial,
           (T *)dq);
  });
  return launched("responsibility_loss");
}
