/* Forward gathers, and so do the points' gradients: threads side by side share a point's channels. The image's
 * gradient scatters: many points may meet in one pixel, in any order, so it is added up in whole numbers of 64 bits,
 * whose sums do not depend on it. Their unit is a power of two, far below the largest number of dy and large enough
 * for as many points as there are. What is no finite number in dy makes its pixels NaN. */
#include "cuda/kernels/grid_sample.h"

#include "cuda/kernels/pixels.h"
#include "cuda/kernels/sums.h"
#include "cuda/kernels/team.h"
#include "ops/bodies_grid_sample.h"

/* The pixels around a point: where they are in its image (-1: outside) and their shares. */
struct Around {
  Between u, v;
  long at[4];
  float share[4];
  __device__ Around(const Grid &g, const float *xy) {
    u = grid_axis(&g, xy[0], g.w), v = grid_axis(&g, xy[1], g.h);
    for (int k = 0; k < 4; k++) {
      long p = v.at + k / 2, q = u.at + k % 2;
      at[k] = p < 0 || p >= g.h || q < 0 || q >= g.w ? -1 : (p * g.w + q) * g.c;
      share[k] = (k / 2 ? v.share : 1 - v.share) * (k % 2 ? u.share : 1 - u.share);
    }
  }
};

/* ---- forward ---- */

template <class T, int W>
static __global__ void sample_kernel(long n, Grid g, const T *x, const float *grid, T *y) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> to(i, 1, g.points, g.c);
  Around a(g, grid + 2 * (to.image * g.points + to.column));
  const T *image = x + to.image * g.h * g.w * g.c + to.channel;
  Pack<W> sum = {};
  for (int p = 0; p < 4; p++) {
    if (a.at[p] < 0) continue;
    Pack<W> v = pack_load<W>(image + a.at[p]);
    for (int k = 0; k < W; k++) sum.v[k] += a.share[p] * v.v[k];
  }
  pack_store(y + to.at, sum);
}

int grid_sample_on(CudaStream s, long images, const Grid *g, Dtype dtype, const void *x, const float *grid,
                   void *y) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    LAUNCH_PIXELS(sample_kernel, T, (g->c % wide_of<T> == 0 && all_aligned16({x, y})), s,
                  images * g->points * g->c, *g, (const T *)x, grid, (T *)y);
  });
  return launched("grid_sample");
}

/* ---- the points' gradients ---- */

template <class T, int W>
static __global__ void points_kernel(long points, int lanes, Grid g, const T *x, const float *grid,
                                     const T *dy, float *dgrid, bool add) {
  long i = INDEX / lanes, lane = INDEX % lanes;
  bool there = i < points; /* whole warps stay */
  Around a(g, grid + 2 * (there ? i : 0));
  const T *image = x + i / g.points * g.h * g.w * g.c;
  float sum[4] = {};
  for (long c = lane * W; there && c < g.c; c += lanes * W) {
    Pack<W> d = pack_load<W>(dy + i * g.c + c);
    for (int p = 0; p < 4; p++) {
      if (a.at[p] < 0) continue;
      Pack<W> v = pack_load<W>(image + a.at[p] + c);
      for (int k = 0; k < W; k++) sum[p] += v.v[k] * d.v[k];
    }
  }
  for (int p = 0; p < 4; p++) sum[p] = warp_all(sum[p], lanes, Add());
  if (!there || lane) return;
  float du = (1 - a.v.share) * (sum[1] - sum[0]) + a.v.share * (sum[3] - sum[2]);
  float dv = (1 - a.u.share) * (sum[2] - sum[0]) + a.u.share * (sum[3] - sum[1]);
  float *to = dgrid + 2 * i;
  to[0] = (add ? to[0] : 0) + du * a.u.step;
  to[1] = (add ? to[1] : 0) + dv * a.v.step;
}

int grid_sample_points_on(CudaStream s, long images, const Grid *g, Dtype dtype, const void *x,
                          const float *grid, const void *dy, float *dgrid, bool add) {
  long n = images * g->points;
  if (!n) return 1;
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    constexpr int W = wide_of<T>;
    bool wide = g->c % W == 0 && all_aligned16({x, dy});
    int lanes = (int)lanes_of(g->c, wide ? W : 1).lanes;
    const T *from = (const T *)x, *d = (const T *)dy;
    if (wide)
      LAUNCH((points_kernel<T, W>), blocks_for(n * lanes), THREADS, 0, s, n, lanes, *g, from, grid, d, dgrid,
             add);
    else
      LAUNCH((points_kernel<T, 1>), blocks_for(n * lanes), THREADS, 0, s, n, lanes, *g, from, grid, d, dgrid,
             add);
  });
  return launched("grid_sample");
}

/* ---- the image's gradient ---- */

enum { PARTS = 512 };

typedef unsigned long long Whole;

struct Scatter {
  float largest[PARTS]; /* of the finite numbers of each part of dy */
  int others[PARTS];    /* whether a part has others */
  double unit;
  int odd; /* whether there are others */
};

size_t grid_sample_scratch(long images, const Grid *g) {
  return sizeof(Scatter) + (size_t)(images * g->h * g->w * g->c) * sizeof(Whole);
}

template <class T>
static __global__ void __launch_bounds__(THREADS) largest_kernel(long n, const T *dy, Scatter *to) {
  float largest = 0, others = 0;
  for (long i = INDEX; i < n; i += PARTS * THREADS) {
    float d = fabsf(widened(dy[i]));
    bool finite = d < INFINITY;
    largest = finite && d > largest ? d : largest;
    others = finite ? others : 1;
  }
  largest = block_all(largest, Larger());
  others = block_all(others, Larger());
  if (threadIdx.x) return;
  to->largest[blockIdx.x] = largest;
  to->others[blockIdx.x] = others > 0;
}

/* One block. */
static __global__ void __launch_bounds__(THREADS) unit_kernel(long points, Scatter *to) {
  float largest = 0, others = 0;
  for (int i = (int)threadIdx.x; i < PARTS; i += THREADS) {
    largest = to->largest[i] > largest ? to->largest[i] : largest;
    others = to->others[i] ? 1 : others;
  }
  largest = block_all(largest, Larger());
  others = block_all(others, Larger());
  if (threadIdx.x) return;
  int exponent = 0, bits = 62; /* largest < 2^exponent; so many points of it stay below 2^62 units */
  frexp((double)largest, &exponent);
  for (long p = 1; p < points; p *= 2) bits--;
  to->unit = ldexp(1.0, exponent - bits);
  to->odd = others > 0;
}

template <class T, int W>
static __global__ void scatter_kernel(long n, Grid g, const float *grid, const T *dy, const Scatter *s,
                                      Whole *sums) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> from(i, 1, g.points, g.c);
  Around a(g, grid + 2 * (from.image * g.points + from.column));
  Whole *image = sums + from.image * g.h * g.w * g.c + from.channel;
  Pack<W> d = pack_load<W>(dy + from.at);
  double units = 1 / s->unit;
  for (int p = 0; p < 4; p++) {
    if (a.at[p] < 0) continue;
    for (int k = 0; k < W; k++) {
      float v = a.share[p] * d.v[k];
      if (fabsf(d.v[k]) < INFINITY && v != 0)
        atomicAdd(image + a.at[p] + k, (Whole)llrint((double)v * units));
    }
  }
}

template <class T>
static __global__ void gather_kernel(long n, const Scatter *s, const Whole *sums, T *dx, bool add) {
  long i = INDEX;
  if (i < n) narrowed((add ? widened(dx[i]) : 0) + (float)((double)(long long)sums[i] * s->unit), dx + i);
}

/* All threads that write to a place write the same. */
template <class T, int W>
static __global__ void others_kernel(long n, Grid g, const float *grid, const T *dy, const Scatter *s,
                                     T *dx) {
  long i = INDEX;
  if (!s->odd || i >= n) return;
  Pixel<W> from(i, 1, g.points, g.c);
  Pack<W> d = pack_load<W>(dy + from.at);
  for (int k = 0; k < W; k++) {
    if (fabsf(d.v[k]) < INFINITY) continue;
    Around a(g, grid + 2 * (from.image * g.points + from.column));
    for (int p = 0; p < 4; p++)
      if (a.at[p] >= 0) narrowed(NAN, dx + from.image * g.h * g.w * g.c + a.at[p] + from.channel + k);
  }
}

int grid_sample_image_on(CudaStream s, long images, const Grid *g, Dtype dtype, const float *grid,
                         const void *dy, void *dx, bool add, void *scratch) {
  Scatter *head = (Scatter *)scratch;
  Whole *sums = (Whole *)(head + 1);
  long pixels = images * g->h * g->w * g->c, n = images * g->points * g->c;
  if (!pixels) return 1;
  if (cudaMemsetAsync(sums, 0, (size_t)pixels * sizeof *sums, s) != cudaSuccess)
    return launched("grid_sample");
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    const T *d = (const T *)dy;
    bool wide = g->c % wide_of<T> == 0 && all_aligned16({dy});
    LAUNCH(largest_kernel, PARTS, THREADS, 0, s, n, d, head);
    LAUNCH(unit_kernel, 1, THREADS, 0, s, g->points, head);
    LAUNCH_PIXELS(scatter_kernel, T, wide, s, n, *g, grid, d, head, sums);
    LAUNCH(gather_kernel, blocks_for(pixels), THREADS, 0, s, pixels, head, sums, (T *)dx, add);
    LAUNCH_PIXELS(others_kernel, T, wide, s, n, *g, grid, d, head, (T *)dx);
  });
  return launched("grid_sample");
}
