/* Forward reads K once: `lanes` threads a pixel. What backward knows of it are the derivatives by the scores: one pass
 * writes dK, and takes K once more for dQ, a vector for each hand among zeros. What follows from the sums of a pass its last
 * blocks compute (last.h), so that each is one launch. */
#include "cuda/kernels/responsibility.h"

#include "cuda/kernels/last.h"
#include "cuda/kernels/sums.h"
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

/* One block: the loss, and what a pixel of each hand counts in it. */
static __device__ inline void put_total(long hands, long parts, const Responsibility &a, const float *partial,
                                        float *y) {
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

template <class T, int W>
static __global__ void __launch_bounds__(THREADS)
    scores_kernel(Rows n, unsigned lanes, const __grid_constant__ Responsibility a, float *partial,
                  unsigned *counter, float *y) {
  long hand = blockIdx.x / n.parts, part = blockIdx.x % n.parts, first = part * n.length;
  long end = first + n.length < n.rows ? first + n.length : n.rows, lane = threadIdx.x % lanes,
       begin = lane * W;
  if (!sensible(a, hand, part == 0 && threadIdx.x == 0)) end = first; /* for the whole block */
  const T *k = NULL, *q = NULL;
  Pack<W> own = {};
  if (first < end) {
    k = (const T *)a.k + image_of(a, hand) * n.rows * n.channels;
    q = (const T *)a.q + query_at(a, hand);
    if (begin < n.channels) own = pack_load<W>(q + begin);
  }
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
  if (threadIdx.x == 0) {
    partial[2 * blockIdx.x] = total;
    partial[2 * blockIdx.x + 1] = count;
  }
  if (is_last(counter, gridDim.x)) put_total(n.images, n.parts, a, partial, y);
}

int responsibility_on(CudaStream s, Rows n, const Responsibility *a, float *partial, unsigned *counter,
                      float *y) {
  unsigned blocks = (unsigned)(n.images * n.parts);
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    constexpr int W = wide_of<T>;
    if (n.channels % W == 0 && all_aligned16({a->q, a->k}))
      LAUNCH((scores_kernel<T, W>), blocks, THREADS, 0, s, n, lanes_of(n.channels, W).lanes, *a, partial,
             counter, y);
    else
      LAUNCH((scores_kernel<T, 1>), blocks, THREADS, 0, s, n, lanes_of(n.channels, 1).lanes, *a, partial,
             counter, y);
  });
  return launched("responsibility_loss");
}

/* ---- backward ---- */

/* Whether an earlier hand of the same image stands at the place of hand m. */
static __device__ inline bool place_taken(const Responsibility &a, long m, long place) {
  for (long i = 0; i < m; i++)
    if (image_of(a, i) == image_of(a, m) && query_at(a, i) == place) return true;
  return false;
}

/* The last block of an image and its channels: hands' sums to their places, once for all hands of a place. */
template <class T, int W>
static __device__ inline void put_queries(const Rows &n, const Lanes &l, const Share<W> &w, long hands,
                                          const Responsibility &a, const float *dy, const float *partial,
                                          T *dq) {
  for (long first = 0; first < hands; first++) {
    if (image_of(a, first) != w.image) continue; /* for the whole block */
    long place = query_at(a, first);
    if (place_taken(a, first, place)) continue;
    Pack<W> total = {};
    for (long m = first; m < hands; m++) {
      if (image_of(a, m) != w.image || query_at(a, m) != place) continue;
      float factor = *dy * a.weight[m];
#pragma unroll 4
      for (long p = threadIdx.x / l.lanes; w.inside && p < n.parts; p += w.step) {
        Pack<W> more = pack_load<W>(partial + (m * n.parts + p) * n.channels + w.channel);
        for (int k = 0; k < W; k++) total.v[k] += factor * more.v[k];
      }
    }
    total = over_rows(total, l.lanes);
    if (threadIdx.x < l.lanes && w.inside) pack_put(dq + place + w.channel, total, true);
  }
}

/* The hands of an image, one after the other. dk, dq: NULL: not wanted. */
template <class T, int W>
static __global__ void __launch_bounds__(THREADS, 4) /* else registers are spilled for occupancy */
    back_kernel(Rows n, Lanes l, const __grid_constant__ Responsibility a, const float *dy, T *dk,
                bool dk_add, T *dq, bool dq_add, float *partial, unsigned *counters) {
  Share<W> w(n, l);
  long hands = *a.refusals.call ? 0 : a.hands;
  for (long m = 0; m < hands; m++) {
    if (image_of(a, m) != w.image) continue; /* for the whole block */
    const float *slope = a.slope + (m - w.image) * n.rows;
    float factor = *dy * a.weight[m];
    Pack<W> q = {}, sum = {};
    if (w.inside) q = pack_load<W>((const T *)a.q + query_at(a, m) + w.channel);
    for (int k = 0; k < W; k++) q.v[k] *= factor;
#pragma unroll 4
    for (long r = w.row; r < w.end; r += w.step) {
      long at = r * n.channels + w.channel;
      float by = slope[r];
      Pack<W> d = q, v = {};
      if (dq) v = pack_load<W>((const T *)a.k + at);
      for (int k = 0; k < W; k++) {
        d.v[k] *= by;
        sum.v[k] += by * v.v[k];
      }
      if (dk) pack_put(dk + at, d, dk_add);
    }
    dk_add = true;
    if (!dq) continue;
    sum = over_rows(sum, l.lanes);
    if (threadIdx.x < l.lanes && w.inside)
      pack_store(partial + (m * n.parts + w.at % n.parts) * n.channels + w.channel, sum);
  }
  for (long r = w.row; r < w.end && dk && !dk_add; r += w.step)
    pack_store(dk + r * n.channels + w.channel, Pack<W>());
  if (!dq) return;
  for (long r = w.row; r < w.end && !dq_add; r += w.step)
    pack_store(dq + r * n.channels + w.channel, Pack<W>());
  if (is_last(image_counter(counters, l, w.image), (unsigned)n.parts))
    put_queries(n, l, w, hands, a, dy, partial, dq);
}

int responsibility_back_on(CudaStream s, Rows n, const Responsibility *a, const float *dy, void *dk,
                           bool dk_add, void *dq, bool dq_add, float *partial, unsigned *counters) {
  if (!n.images || !n.channels) return 1;
  with_type(a->dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = n.channels % wide_of<T> == 0 && all_aligned16({a->q, a->k, dk, dq, partial});
    LAUNCH_SHARES(back_kernel, T, wide, s, n, *a, dy, (T *)dk, dk_add, (T *)dq, dq_add, partial, counters);
  });
  return launched("responsibility_loss");
}
