/* Priors of sharpening: a thread a pixel of a hand's box. Levels are counted in whole numbers, in any order; the last
 * block finds the ground's. */
#include "cuda/launch.h" /* before the bodies: they are CUDA's here */

#include "cuda/kernels/last.h"
#include "cuda/kernels/prior.h"

/* Pixel INDEX of the box; false: there is none. */
static __device__ inline bool pixel_of(const PriorHand &h, long *x, long *y) {
  const long w = h.box.x1 - h.box.x0, i = INDEX;
  *x = h.box.x0 + i % w;
  *y = h.box.y0 + i / w;
  return *y < h.box.y1;
}

static __global__ void place_kernel(const __grid_constant__ Priors p, const __grid_constant__ PriorHand h,
                                    bool claim) {
  long x, y;
  if (pixel_of(h, &x, &y)) prior_place(&p, &h, x, y, claim);
}

int prior_place_on(CudaStream s, const Priors *p, const PriorHand *h, bool claim) {
  if (!prior_pixels(h)) return 1;
  LAUNCH(place_kernel, blocks_for(prior_pixels(h)), THREADS, 0, s, *p, *h, claim);
  return launched("sharpen");
}

static __global__ void __launch_bounds__(THREADS)
    ground_kernel(const __grid_constant__ Priors p, const __grid_constant__ PriorHand h) {
  __shared__ unsigned count[PRIOR_LEVELS + 1];
  long x, y;
  for (int i = threadIdx.x; i <= PRIOR_LEVELS; i += THREADS) count[i] = 0;
  __syncthreads();
  const int level = pixel_of(h, &x, &y) ? prior_level_of(&p, x, y) : -1;
  if (level >= 0) atomicAdd(&count[level], 1u);
  __syncthreads();
  for (int i = threadIdx.x; i <= PRIOR_LEVELS; i += THREADS)
    if (count[i]) atomicAdd(&p.counts[i], count[i]);
  if (is_last(p.counts + PRIOR_LEVELS + 1, gridDim.x) && threadIdx.x == 0) *p.ground = prior_ground(p.counts);
}

int prior_ground_on(CudaStream s, const Priors *p, const PriorHand *h) {
  if (!prior_pixels(h)) return 1;
  LAUNCH(ground_kernel, blocks_for(prior_pixels(h)), THREADS, 0, s, *p, *h);
  return launched("sharpen");
}

static __global__ void weigh_kernel(const __grid_constant__ Priors p, const __grid_constant__ PriorHand h) {
  long x, y;
  if (pixel_of(h, &x, &y)) prior_weigh(&p, x, y);
}

int prior_weigh_on(CudaStream s, const Priors *p, const PriorHand *h) {
  if (!prior_pixels(h)) return 1;
  LAUNCH(weigh_kernel, blocks_for(prior_pixels(h)), THREADS, 0, s, *p, *h);
  return launched("sharpen");
}

static __global__ void rest_kernel(long pixels, int hands, float *map) {
  const long i = INDEX;
  if (i < pixels) prior_rest(map + i * (hands + 1), hands);
}

int prior_rest_on(CudaStream s, long pixels, int hands, float *map) {
  LAUNCH(rest_kernel, blocks_for(pixels), THREADS, 0, s, pixels, hands, map);
  return launched("sharpen");
}
