/* A thread for a pixel of the large image, in the small image's gradient for a number of the small one. */
#include "cuda/launch.h" /* before the bodies: they are CUDA's here */

#include "cuda/kernels/convex.h"
#include "ops/bodies_convex.h"

/* The nine weights of large pixel `at` of small pixel i. */
static __device__ inline void weights(const Convex &g, const float *mask, long i, long at, float *weight) {
  long square = g.factor * g.factor;
  const float *m = mask + i * CONVEX_AROUND * square + at;
  float most = m[0], sum = 0;
  for (int k = 1; k < CONVEX_AROUND; k++) most = m[k * square] > most ? m[k * square] : most;
  for (int k = 0; k < CONVEX_AROUND; k++) sum += weight[k] = EXP(m[k * square] - most);
  for (int k = 0; k < CONVEX_AROUND; k++) weight[k] /= sum;
}

static __global__ void convex_kernel(long n, Convex g, const float *x, const float *mask, float *y) {
  long index = INDEX, square = g.factor * g.factor, i = index / square, at = index % square;
  if (index >= n) return;
  float weight[CONVEX_AROUND], *to = y + convex_target(&g, i, at);
  weights(g, mask, i, at, weight);
  for (long c = 0; c < g.c; c++) {
    float sum = 0;
    for (int k = 0; k < CONVEX_AROUND; k++) {
      long j = convex_neighbour(&g, i, k);
      if (j >= 0) sum += weight[k] * x[j * g.c + c];
    }
    to[c] = sum;
  }
}

int convex_on(CudaStream s, long pixels, const Convex *g, const float *x, const float *mask, float *y) {
  long n = pixels * g->factor * g->factor;
  if (!n) return 1;
  LAUNCH(convex_kernel, blocks_for(n), THREADS, 0, s, n, *g, x, mask, y);
  return launched("convex_upsample");
}

static __global__ void mask_kernel(long n, Convex g, const float *x, const float *mask, const float *dy,
                                   float *dmask, bool add) {
  long index = INDEX, square = g.factor * g.factor, i = index / square, at = index % square;
  if (index >= n) return;
  float weight[CONVEX_AROUND], slope[CONVEX_AROUND], mean = 0, *to = dmask + i * CONVEX_AROUND * square + at;
  const float *d = dy + convex_target(&g, i, at);
  weights(g, mask, i, at, weight);
  for (int k = 0; k < CONVEX_AROUND; k++) {
    long j = convex_neighbour(&g, i, k);
    slope[k] = 0;
    for (long c = 0; j >= 0 && c < g.c; c++) slope[k] += d[c] * x[j * g.c + c];
    mean += slope[k] * weight[k];
  }
  for (int k = 0; k < CONVEX_AROUND; k++)
    to[k * square] = (add ? to[k * square] : 0) + weight[k] * (slope[k] - mean);
}

int convex_mask_on(CudaStream s, long pixels, const Convex *g, const float *x, const float *mask,
                   const float *dy, float *dmask, bool add) {
  long n = pixels * g->factor * g->factor;
  if (!n) return 1;
  LAUNCH(mask_kernel, blocks_for(n), THREADS, 0, s, n, *g, x, mask, dy, dmask, add);
  return launched("convex_upsample");
}

static __global__ void image_kernel(long n, Convex g, const float *mask, const float *dy, float *dx,
                                    bool add) {
  long index = INDEX, i = index / g.c, c = index % g.c;
  if (index >= n) return;
  float sum = add ? dx[index] : 0, weight[CONVEX_AROUND];
#pragma unroll
  for (int k = 0; k < CONVEX_AROUND; k++) {
    long j = convex_neighbour(&g, i, CONVEX_AROUND - 1 - k);
    for (long at = 0; j >= 0 && at < g.factor * g.factor; at++) {
      weights(g, mask, j, at, weight);
      sum += weight[k] * dy[convex_target(&g, j, at) + c];
    }
  }
  dx[index] = sum;
}

int convex_image_on(CudaStream s, long pixels, const Convex *g, const float *mask, const float *dy, float *dx,
                    bool add) {
  long n = pixels * g->c;
  if (!n) return 1;
  LAUNCH(image_kernel, blocks_for(n), THREADS, 0, s, n, *g, mask, dy, dx, add);
  return launched("convex_upsample");
}
