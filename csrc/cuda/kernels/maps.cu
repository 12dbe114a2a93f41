/* Residuals, responsibility maps (motion/isa_responsibility.c): a thread a pixel, which reads its flow of every gap
 * once; the motions within a row are a block's. */
#include "cuda/kernels/maps.h"

#include "cuda/launch.h"
#include "motion/points.h"

/* ---- the flows at points ---- */

static __global__ void sample_kernel(MapScene s, long n, const double *xy, double *uv) {
  const long i = INDEX;
  if (i < s.gaps * n)
    point_sample(s.flow[i / n], s.content_width, s.content_height, s.width, xy + 2 * (i % n), uv + 2 * i);
}

int maps_sample_on(CudaStream s, const MapScene *scene, long n, const double *xy, double *uv) {
  LAUNCH(sample_kernel, blocks_for(scene->gaps * n), THREADS, 0, s, *scene, n, xy, uv);
  return launched("responsibility");
}

/* ---- distances and their softmax ---- */

enum { STRIP = 128 }; /* pixels of a block, all of one row */

/* √q / w, `lost` beyond the horizon and where a number overflows or is none. */
static __device__ float root_over(float q, float w, float lost) {
  const float d = sqrtf(q) / w;
  return w > 0 && q * w * w < INFINITY && d < lost ? d : lost;
}

static __device__ float plane_distance(const RowPlane &r, float x, float u, float v, float lost) {
  const float xi = x - r.cx, s = xi * r.gx + r.s0, w = s + 1;
  const float dx = xi * r.xx + r.x0 - xi * s - u * w, dy = xi * r.yx + r.y0 - r.eta * s - v * w;
  return root_over(dx * dx + (dy * dy + 1e-20f), w, lost);
}

/* MOST: hands and background, at most; few of them lie in registers. */
template <int MOST>
static __global__ void fill_kernel(MapScene s, const Plane *plane, bool still, bool residuals, double scale,
                                   float *out) {
  constexpr bool MANY = MOST > 8;
  constexpr int unrolled = MANY ? 1 : MOST;
  __shared__ RowPlane row[HANDS_MAX + 1];
  const long strips = (s.width + STRIP - 1) / STRIP, y = blockIdx.x / strips;
  const long x = blockIdx.x % strips * STRIP + threadIdx.x;
  const int n = s.hands, planes = still ? n : n + 1;
  const bool inside = x < s.content_width && y < s.content_height;
  const float wide = (float)scale, share = 1.0f / (float)s.gaps;
  float sum[MOST];
#pragma unroll
  for (int k = 0; k < MOST; k++) sum[k] = 0;
  for (int g = 0; g < s.gaps; g++) {
    __syncthreads(); /* what was there before is read */
    for (int p = threadIdx.x; p < planes; p += STRIP) row[p] = row_plane(plane + g * planes + p, y, scale);
    __syncthreads();
    if (x >= s.width) continue;
    const float *flow = s.flow[g] + 2 * (y * s.width + x);
    const float u = inside ? flow[0] * wide : 0, v = inside ? flow[1] * wide : 0;
    const float ground = still ? root_over(u * u + (v * v + 1e-20f), 1, LOST_GROUND)
                               : plane_distance(row[n], (float)x * wide, u, v, LOST_GROUND);
    float d[MOST], least = ground, total = 0;
#pragma unroll unrolled
    for (int k = 0; k < MOST; k++) {
      if (MANY && k > n) break;
      d[k] = k < n ? plane_distance(row[k], (float)x * wide, u, v, LOST_HAND) : ground;
      least = d[k] < least ? d[k] : least;
    }
    float *place = out + ((g * s.height + y) * s.width + x) * (n + 1);
#pragma unroll unrolled
    for (int k = 0; k < MOST; k++) {
      if (MANY && k > n) break;
      if (residuals && k <= n)
        place[k] = !inside ? (k < n ? INFINITY : 0) : d[k] < LOST_GROUND ? d[k] : INFINITY;
      d[k] = exp2f(least - d[k]);
      total += k <= n ? d[k] : 0;
    }
#pragma unroll unrolled
    for (int k = 0; k < MOST; k++) {
      if (MANY && k > n) break;
      sum[k] += d[k] * (share / total);
    }
  }
  if (residuals || x >= s.width) return;
#pragma unroll unrolled
  for (int k = 0; k < MOST; k++)
    if (k <= n) out[(y * s.width + x) * (n + 1) + k] = inside ? sum[k] : k == n;
}

int maps_fill_on(CudaStream s, const MapScene *scene, const Plane *plane, bool still, bool residuals,
                 double scale, float *out) {
  const unsigned blocks = (unsigned)((scene->width + STRIP - 1) / STRIP * scene->height);
  if (scene->hands < 4)
    LAUNCH(fill_kernel<4>, blocks, STRIP, 0, s, *scene, plane, still, residuals, scale, out);
  else
    LAUNCH((fill_kernel<HANDS_MAX + 1>), blocks, STRIP, 0, s, *scene, plane, still, residuals, scale, out);
  return launched("responsibility");
}

/* ---- closeness ---- */

static __device__ float hull_distance(const float *hull, long corners, float x, float y) {
  float nearest = INFINITY;
  bool outside = corners < 3;
  for (long i = 0; i < corners; i++) {
    const float *a = hull + 2 * i, *b = i + 1 < corners ? a + 2 : hull;
    const float ex = b[0] - a[0], ey = b[1] - a[1], square = ex * ex + ey * ey;
    float px = x - a[0], py = y - a[1];
    outside = outside || ex * py - ey * px < 0;
    const float along = square > 0 ? (px * ex + py * ey) * (1 / square) : 0;
    const float t = along > 0 ? (along < 1 ? along : 1) : 0;
    px -= t * ex, py -= t * ey;
    const float d = px * px + py * py;
    nearest = d < nearest ? d : nearest;
  }
  return outside ? root_over(nearest + 1e-20f, 1, LOST_GROUND) : 0;
}

static __global__ void closeness_kernel(MapScene s, Hulls h, float *map) {
  const long i = INDEX, x = i % s.content_width, y = i / s.content_width;
  if (y >= s.content_height) return;
  float sum = 0, *pixel = map + (y * s.width + x) * (s.hands + 1);
  for (int k = 0; k < s.hands; k++) {
    const long first = h.first[k];
    const float d = hull_distance(h.corner + 2 * first, h.first[k + 1] - first, (float)x, (float)y);
    sum += pixel[k] *= exp2f(d * h.scale[k]);
  }
  pixel[s.hands] = sum < 1 ? 1 - sum : 0;
}

int maps_closeness_on(CudaStream s, const MapScene *scene, const Hulls *hulls, float *map) {
  LAUNCH(closeness_kernel, blocks_for(scene->content_width * scene->content_height), THREADS, 0, s, *scene,
         *hulls, map);
  return launched("responsibility");
}
