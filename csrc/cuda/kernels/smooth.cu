/* Edge-aware smoothing (motion/smooth.c): weights of the edges between pixels, then half sweeps of a red-black
 * over-relaxation, SWEEPS of them a launch: a block keeps a tile and as many pixels more on every side in shared
 * memory, where what is wrong at the rim comes one pixel further with every half sweep, and never into the tile. */
#include "cuda/kernels/sharpen.h"

#include "cuda/kernels/team.h"
#include "motion/smooth.h"

/* The linear system: weights to the right and down (0 at the border), the inverse diagonal, the right side. */
struct Walk {
  long h, w;
  float *right, *down, *inverse, *base, *other;
  double *part; /* sums of blocks, then the mean squared difference */
};

static unsigned parts_of(long h, long w) { return blocks_for(h * w); }

static long plane_floats(long h, long w) { return (h * w + 15) / 16 * 16; }

long sharpen_work_on(long h, long w) { return 5 * plane_floats(h, w) + 2 * (long)parts_of(h, w) + 16; }

/* ---- weights ---- */

static __device__ float difference(const float *a, const float *b) {
  const float x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
  return x * x + y * y + z * z;
}

static __global__ void edges_kernel(Walk k, const float *colours) {
  const long i = INDEX, x = i % k.w, y = i / k.w;
  float right = 0, down = 0;
  if (y < k.h) {
    const float *c = colours + 3 * i;
    k.right[i] = right = x + 1 < k.w ? difference(c, c + 3) : 0;
    k.down[i] = down = y + 1 < k.h ? difference(c, c + 3 * k.w) : 0;
  }
  const double sum = block_all((double)(right + down), Add());
  if (threadIdx.x == 0) k.part[blockIdx.x] = sum;
}

static __global__ void total_kernel(Walk k, long parts) {
  double sum = 0;
  for (long i = threadIdx.x; i < parts; i += THREADS) sum += k.part[i];
  sum = block_all(sum, Add());
  if (threadIdx.x == 0) k.part[0] = sum / (2.0 * (double)(k.h * k.w));
}

/* Over the differences, which are in their place: those to the left and above, which other threads overwrite, are
 * computed again. */
static __global__ void weigh_kernel(Walk k, const float *colours, const float *q, const float *trust,
                                    float smooth, float *p) {
  const long i = INDEX, x = i % k.w, y = i / k.w;
  if (y >= k.h) return;
  const float rate = (float)(-0.5 / (k.part[0] + 1)), *c = colours + 3 * i;
  const float right = x + 1 < k.w ? smooth * expf(rate * k.right[i]) : 0;
  const float down = y + 1 < k.h ? smooth * expf(rate * k.down[i]) : 0;
  float edges = right + down;
  if (x) edges += smooth * expf(rate * difference(c - 3, c));
  if (y) edges += smooth * expf(rate * difference(c - 3 * k.w, c));
  k.right[i] = right;
  k.down[i] = down;
  k.inverse[i] = 1 / (trust[i] + edges);
  k.base[i] = trust[i] * q[i];
  p[i] = q[i];
}

/* ---- sweeps ---- */

enum {
  SWEEPS = 8, /* half sweeps of a launch: even, and a divisor of all */
  TILE_W = 32,
  TILE_H = 16,
  WIDE = TILE_W + 2 * SWEEPS,
  HIGH = TILE_H + 2 * SWEEPS,
  PAIRS = WIDE * HIGH / 2, /* of neighbours in a row: one of each colour, for one thread */
  BLOCK = 384,
  SHARE = PAIRS / BLOCK,
};
static_assert(PAIRS % BLOCK == 0 && 2 * SMOOTH_SWEEPS % SWEEPS == 0,
              "all threads have pairs, launches all sweeps");

static __global__ void __launch_bounds__(BLOCK) sweeps_kernel(Walk k, const float *from, float *to) {
  __shared__ float p[HIGH + 2][WIDE + 2], right[HIGH][WIDE + 1], down[HIGH + 1][WIDE]; /* with zeros around */
  const long x0 = (long)blockIdx.x * TILE_W - SWEEPS, y0 = (long)blockIdx.y * TILE_H - SWEEPS;
  for (int i = threadIdx.x; i < (HIGH + 2) * (WIDE + 2); i += BLOCK) {
    const int x = i % (WIDE + 2) - 1, y = i / (WIDE + 2) - 1;
    const long gx = x0 + x, gy = y0 + y, at = gy * k.w + gx;
    const bool in = gx >= 0 && gx < k.w && gy >= 0 && gy < k.h && x >= 0 && x < WIDE && y >= 0 && y < HIGH;
    p[y + 1][x + 1] = in ? from[at] : 0;
    if (y >= 0 && y < HIGH && x < WIDE) right[y][x + 1] = in ? k.right[at] : 0;
    if (x >= 0 && x < WIDE && y < HIGH) down[y + 1][x] = in ? k.down[at] : 0;
  }
  float inverse[SHARE][2], base[SHARE][2];
#pragma unroll
  for (int j = 0; j < SHARE; j++) {
    const int pair = threadIdx.x + j * BLOCK;
#pragma unroll
    for (int o = 0; o < 2; o++) {
      const long gx = x0 + pair % (WIDE / 2) * 2 + o, gy = y0 + pair / (WIDE / 2), at = gy * k.w + gx;
      const bool in = gx >= 0 && gx < k.w && gy >= 0 && gy < k.h;
      inverse[j][o] = in ? k.inverse[at] : 0;
      base[j][o] = in ? k.base[at] : 0;
    }
  }
  __syncthreads();
  for (int s = 0; s < SWEEPS; s++) { /* colours in turn: x + y even first */
#pragma unroll
    for (int j = 0; j < SHARE; j++) {
      const int pair = threadIdx.x + j * BLOCK, y = pair / (WIDE / 2), o = (s + y) & 1,
                x = pair % (WIDE / 2) * 2 + o;
      float sum = o ? base[j][1] : base[j][0];
      sum += right[y][x + 1] * p[y + 1][x + 2];
      sum += right[y][x] * p[y + 1][x];
      sum += down[y + 1][x] * p[y + 2][x + 1];
      sum += down[y][x] * p[y][x + 1];
      p[y + 1][x + 1] += smooth_omega * (sum * (o ? inverse[j][1] : inverse[j][0]) - p[y + 1][x + 1]);
    }
    __syncthreads();
  }
  for (int i = threadIdx.x; i < TILE_W * TILE_H; i += BLOCK) {
    const int x = i % TILE_W + SWEEPS, y = i / TILE_W + SWEEPS;
    const long gx = x0 + x, gy = y0 + y;
    if (gx < k.w && gy < k.h) to[gy * k.w + gx] = p[y + 1][x + 1];
  }
}

int sharpen_smooth_on(CudaStream s, const float *colours, long h, long w, const float *q, const float *trust,
                      float smoothness, float *p, float *work) {
  const unsigned blocks = parts_of(h, w);
  const long n = plane_floats(h, w);
  double *part = (double *)(((uintptr_t)(work + 5 * n) + 7) / 8 * 8);
  Walk k = {h, w, work, work + n, work + 2 * n, work + 3 * n, work + 4 * n, part};
  LAUNCH(edges_kernel, blocks, THREADS, 0, s, k, colours);
  LAUNCH(total_kernel, 1, THREADS, 0, s, k, (long)blocks);
  LAUNCH(weigh_kernel, blocks, THREADS, 0, s, k, colours, q, trust, smoothness, p);
  const dim3 tiles((unsigned)((w + TILE_W - 1) / TILE_W), (unsigned)((h + TILE_H - 1) / TILE_H));
  float *from = p, *to = k.other;
  for (int i = 0; i < 2 * SMOOTH_SWEEPS / SWEEPS;
       i++) { /* an even number of launches: the last one writes p */
    LAUNCH(sweeps_kernel, tiles, BLOCK, 0, s, k, from, to);
    std::swap(from, to);
  }
  return launched("sharpen");
}
