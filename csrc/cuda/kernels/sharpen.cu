/* What sharpening does pixel by pixel, a thread each; smoothing: smooth.cu. */
#include "cuda/kernels/sharpen.h"

#include "cuda/launch.h"

/* Where pixel i of the content is in the image. */
static __device__ long place_of(const Content &c, long i) { return i / c.w * c.row + i % c.w; }

static __global__ void colours_kernel(Content c, const uint8_t *image, float *colours) {
  const long i = INDEX;
  if (i < 3 * c.h * c.w) colours[i] = (float)image[3 * place_of(c, i / 3) + i % 3];
}

int sharpen_colours_on(CudaStream s, const Content *c, const uint8_t *image, float *colours) {
  LAUNCH(colours_kernel, blocks_for(3 * c->h * c->w), THREADS, 0, s, *c, image, colours);
  return launched("sharpen");
}

static __global__ void take_kernel(Content c, const float *map, int channels, int k, float *plane) {
  const long i = INDEX;
  if (i < c.h * c.w) plane[i] = map[place_of(c, i) * channels + k];
}

int sharpen_take_on(CudaStream s, const Content *c, const float *map, int channels, int k, float *plane) {
  LAUNCH(take_kernel, blocks_for(c->h * c->w), THREADS, 0, s, *c, map, channels, k, plane);
  return launched("sharpen");
}

static __global__ void put_kernel(Content c, const float *plane, int channels, int k, float *map) {
  const long i = INDEX;
  if (i >= c.h * c.w) return;
  const float p = plane[i];
  map[place_of(c, i) * channels + k] = p < 0 ? 0 : p > 1 ? 1 : p;
}

int sharpen_put_on(CudaStream s, const Content *c, const float *plane, int channels, int k, float *map) {
  LAUNCH(put_kernel, blocks_for(c->h * c->w), THREADS, 0, s, *c, plane, channels, k, map);
  return launched("sharpen");
}

static __global__ void score_kernel(long n, Mixture in, Mixture out, const float *colours, const float *map,
                                    float *q, float *trust) {
  const long i = INDEX;
  if (i < n) sharpen_score(&in, &out, colours + 3 * i, map[i], q + i, trust + i);
}

int sharpen_score_on(CudaStream s, long pixels, const Mixture *in, const Mixture *out, const float *colours,
                     const float *map, float *q, float *trust) {
  LAUNCH(score_kernel, blocks_for(pixels), THREADS, 0, s, pixels, *in, *out, colours, map, q, trust);
  return launched("sharpen");
}

static __global__ void share_kernel(long n, int hands, float *map) {
  const long i = INDEX;
  if (i < n) sharpen_share(map + i * (hands + 1), hands);
}

int sharpen_share_on(CudaStream s, long pixels, int hands, float *map) {
  LAUNCH(share_kernel, blocks_for(pixels), THREADS, 0, s, pixels, hands, map);
  return launched("sharpen");
}
