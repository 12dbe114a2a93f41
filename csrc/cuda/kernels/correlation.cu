/* Forward: a warp for a point and a level, whose lanes share the channels of each product. The gradients gather: a
 * thread for a channel of a pixel, which looks through all that its pixel took part in. */
#include "cuda/kernels/correlation.h"

#include "cuda/kernels/team.h"
#include "ops/bodies_correlation.h"

enum { WARP = 32, WARPS = THREADS / WARP };

static __global__ void __launch_bounds__(THREADS)
    look_up_kernel(long points, Correlation g, const float *first, const float *at, CorrelationLevels levels,
                   float *y) {
  __shared__ float products[WARPS][REACH_MAX * REACH_MAX];
  long unit = INDEX / WARP, i = unit / g.levels;
  int lane = (int)threadIdx.x % WARP, l = (int)(unit % g.levels);
  float *product = products[threadIdx.x / WARP];
  bool there = i < points; /* whole warps stay */
  Reach r;
  bool seen = correlation_place(&g, at + 2 * (there ? i : 0), l, &r) && there;
  long reach = correlation_reach(&g), window = correlation_window(&g);
  const float *own = first + (g.alone ? i % g.pixels : i) * g.c;
  const float *other = levels.at[l] + i / g.pixels * g.h[l] * g.w[l] * g.c;
  for (long k = 0; k < reach * reach; k++) {
    long u = k % reach, v = k / reach;
    float sum = 0;
    if (seen && u >= r.x_from && u < r.x_to && v >= r.y_from && v < r.y_to) {
      const float *x = other + ((r.y + v) * g.w[l] + r.x + u) * g.c;
      for (long c = lane; c < g.c; c += WARP) sum += own[c] * x[c];
    }
    sum = warp_all(sum, WARP, Add());
    if (lane == 0) product[k] = sum;
  }
  __syncwarp();
  if (!there) return;
  for (long k = lane; k < window * window; k += WARP) {
    const float *p = product + k % window * reach + k / window;
    float above = p[0] + r.right * (p[1] - p[0]), under = p[reach] + r.right * (p[reach + 1] - p[reach]);
    y[i * correlation_depth(&g) + l * window * window + k] = g.scale * (above + r.below * (under - above));
  }
}

int correlation_on(CudaStream s, long images, const Correlation *g, const float *first, const float *points,
                   const CorrelationLevels *levels, float *y) {
  long n = images * g->pixels;
  if (!n) return 1;
  LAUNCH(look_up_kernel, blocks_for(n * g->levels * WARP), THREADS, 0, s, n, *g, first, points, *levels, y);
  return launched("correlation");
}

static __global__ void first_kernel(long n, long points, Correlation g, const float *at,
                                    CorrelationLevels levels, const float *dy, float *dfirst, bool add) {
  long index = INDEX, square = correlation_window(&g) * correlation_window(&g);
  if (index >= n) return;
  long pixel = index / g.c, c = index % g.c;
  float sum = add ? dfirst[index] : 0;
  for (long i = pixel; i < points; i += g.alone ? g.pixels : points)
    for (int l = 0; l < g.levels; l++) {
      Reach r;
      if (!correlation_place(&g, at + 2 * i, l, &r)) continue;
      const float *own = dy + i * correlation_depth(&g) + l * square;
      const float *other = levels.at[l] + i / g.pixels * g.h[l] * g.w[l] * g.c + c;
      for (long v = r.y_from; v < r.y_to; v++)
        for (long u = r.x_from; u < r.x_to; u++)
          sum += correlation_share(&g, &r, own, u, v) * other[((r.y + v) * g.w[l] + r.x + u) * g.c];
    }
  dfirst[index] = sum;
}

int correlation_first_on(CudaStream s, long images, const Correlation *g, const float *points,
                         const CorrelationLevels *levels, const float *dy, float *dfirst, bool add) {
  long n = (g->alone ? 1 : images) * g->pixels * g->c;
  if (!n) return 1;
  LAUNCH(first_kernel, blocks_for(n), THREADS, 0, s, n, images * g->pixels, *g, points, *levels, dy, dfirst,
         add);
  return launched("correlation");
}

static __global__ void level_kernel(long n, Correlation g, int level, const float *first, const float *at,
                                    const float *dy, float *dlevel, bool add) {
  long index = INDEX, square = correlation_window(&g) * correlation_window(&g);
  if (index >= n) return;
  long pixel = index / g.c, c = index % g.c, size = g.h[level] * g.w[level];
  long image = pixel / size, x = pixel % g.w[level], y = pixel % size / g.w[level];
  float sum = add ? dlevel[index] : 0;
  for (long i = image * g.pixels; i < (image + 1) * g.pixels; i++) {
    Reach r;
    if (!correlation_place(&g, at + 2 * i, level, &r)) continue;
    long u = x - r.x, v = y - r.y;
    if (u < r.x_from || u >= r.x_to || v < r.y_from || v >= r.y_to) continue;
    const float *own = dy + i * correlation_depth(&g) + level * square;
    sum += correlation_share(&g, &r, own, u, v) * first[(g.alone ? i % g.pixels : i) * g.c + c];
  }
  dlevel[index] = sum;
}

int correlation_level_on(CudaStream s, long images, const Correlation *g, int level, const float *first,
                         const float *points, const float *dy, float *dlevel, bool add) {
  long n = images * g->h[level] * g->w[level] * g->c;
  if (!n) return 1;
  LAUNCH(level_kernel, blocks_for(n), THREADS, 0, s, n, *g, level, first, points, dy, dlevel, add);
  return launched("correlation");
}
