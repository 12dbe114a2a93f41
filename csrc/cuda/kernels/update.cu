/* Blocks of equal work over all parameters: each finds the row that its numbers are in. What the bodies say of one
 * number, for four neighbours a thread at a time. */
#include "cuda/launch.h" /* before the bodies: they are CUDA's here */

#include "cuda/kernels/four.h"
#include "cuda/kernels/last.h"
#include "cuda/kernels/sums.h"
#include "cuda/kernels/update.h"
#include "ops/bodies_adamw.h"
#include "ops/bodies_gradient_factor.h"
#include "ops/bodies_lerp.h"
#include "ops/bodies_sgd.h"

static_assert(sizeof(UpdateRows) <= 32764 - 16, "a launch carries no more");

/* The last row that begins at block b or before it. */
static __device__ int row_of(const UpdateRows &rows, unsigned b) {
  int low = 0, high = rows.count;
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (rows.row[middle].block <= b)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static __device__ bool aligned_row(const UpdateRow &r) { /* NULL is */
  return ((uintptr_t)r.p | (uintptr_t)r.first | (uintptr_t)r.second | (uintptr_t)r.g) % 16 == 0;
}

static __device__ void update(const struct adamw_step &step, const UpdateRow &r, long i, long n, bool whole,
                              float factor) {
  Four p = load(r.p, i, n, whole), m = load(r.first, i, n, whole), v = load(r.second, i, n, whole),
       g = load(r.g, i, n, whole);
  for (int k = 0; k < WIDTH; k++) adamw_update(step, p.v + k, m.v + k, v.v + k, g.v[k] * factor);
  store(r.p, i, n, whole, p);
  store(r.first, i, n, whole, m);
  store(r.second, i, n, whole, v);
}

static __device__ void update(const struct sgd_step &step, const UpdateRow &r, long i, long n, bool whole,
                              float factor) {
  Four p = load(r.p, i, n, whole), g = load(r.g, i, n, whole);
  for (int k = 0; k < WIDTH; k++) g.v[k] *= factor;
  if (r.first) {
    Four v = load(r.first, i, n, whole);
    for (int k = 0; k < WIDTH; k++) sgd_update(step, p.v + k, v.v + k, g.v[k]);
    store(r.first, i, n, whole, v);
  } else
    for (int k = 0; k < WIDTH; k++) sgd_plain(step, p.v + k, g.v[k]);
  store(r.p, i, n, whole, p);
}

struct lerp_step {
  float share;
};
static __device__ void update(const lerp_step &step, const UpdateRow &r, long i, long n, bool whole, float) {
  Four p = load(r.p, i, n, whole), g = load(r.g, i, n, whole);
  for (int k = 0; k < WIDTH; k++) lerp_update(step.share, p.v + k, g.v[k]);
  store(r.p, i, n, whole, p);
}

struct scale_step {
  float by;
};
static __device__ void update(const scale_step &step, const UpdateRow &r, long i, long n, bool whole, float) {
  Four p = load(r.p, i, n, whole);
  for (int k = 0; k < WIDTH; k++) p.v[k] *= step.by;
  store(r.p, i, n, whole, p);
}

template <class T> struct round_step {};
template <class T>
static __device__ void update(const round_step<T> &, const UpdateRow &r, long i, long n, bool whole, float) {
  store((T *)r.first, i, n, whole, load(r.p, i, n, whole));
}

template <class T> struct widen_step {};
template <class T>
static __device__ void update(const widen_step<T> &, const UpdateRow &r, long i, long n, bool whole, float) {
  store(r.p, i, n, whole, load<WIDTH>((const T *)r.first, i, n, whole));
}

template <class Step>
static __global__ void __launch_bounds__(THREADS)
    update_kernel(const __grid_constant__ UpdateRows rows, const float *numbers) {
  if (numbers && numbers[OP_LEFT_OUT] != 0) return;
  const UpdateRow r = rows.row[row_of(rows, blockIdx.x)];
  const Step step = numbers ? *(const Step *)numbers : Step();
  float factor = numbers ? numbers[OP_FACTOR] : 1;
  bool aligned = aligned_row(r);
  long begin = (long)(blockIdx.x - r.block) * UPDATE_CHUNK, n = min((long)r.n, begin + UPDATE_CHUNK);
  for (long i = begin + threadIdx.x * WIDTH; i < n; i += THREADS * WIDTH)
    update(step, r, i, n, aligned && i + WIDTH <= n, factor);
}

template <class Step> static void update_as(CudaStream s, const float *numbers, const UpdateRows *rows) {
  LAUNCH(update_kernel<Step>, rows->blocks, THREADS, 0, s, *rows, numbers);
}

static int emptied(UpdateRows *rows) {
  rows->count = 0;
  rows->blocks = 0;
  return launched("update");
}

int update_on(CudaStream s, UpdateKind kind, const float *numbers, UpdateRows *rows) {
  if (!rows->blocks) return 1;
  switch (kind) {
  case UPDATE_ADAMW: update_as<adamw_step>(s, numbers, rows); break;
  case UPDATE_SGD: update_as<sgd_step>(s, numbers, rows); break;
  case UPDATE_LERP: update_as<lerp_step>(s, numbers, rows); break;
  case UPDATE_SCALE: update_as<scale_step>(s, numbers, rows); break;
  case UPDATE_BF16: update_as<round_step<Brain>>(s, numbers, rows); break;
  case UPDATE_F16: update_as<round_step<Half>>(s, numbers, rows); break;
  case UPDATE_WIDEN_BF16: update_as<widen_step<Brain>>(s, numbers, rows); break;
  case UPDATE_WIDEN_F16: update_as<widen_step<Half>>(s, numbers, rows); break;
  }
  return emptied(rows);
}

/* ---- squares ---- */

static __global__ void __launch_bounds__(THREADS)
    squares_kernel(const __grid_constant__ UpdateRows rows, float *partial, unsigned *counter) {
  const UpdateRow r = rows.row[row_of(rows, blockIdx.x)];
  bool aligned = (uintptr_t)r.g % 16 == 0;
  long begin = (long)(blockIdx.x - r.block) * UPDATE_CHUNK, n = min((long)r.n, begin + UPDATE_CHUNK);
  float sum = 0;
  for (long i = begin + threadIdx.x * WIDTH; i < n; i += THREADS * WIDTH) {
    Four g = load(r.g, i, n, aligned && i + WIDTH <= n);
    for (int k = 0; k < WIDTH; k++) sum += g.v[k] * g.v[k];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
  if (!is_last(counter, gridDim.x)) return;
  sum = 0;
  for (unsigned b = threadIdx.x; b < gridDim.x; b += THREADS) sum += partial[b];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *r.p += sum;
}

int update_squares_on(CudaStream s, UpdateRows *rows, float *partial, unsigned *counter) {
  if (!rows->blocks) return 1;
  LAUNCH(squares_kernel, rows->blocks, THREADS, 0, s, *rows, partial, counter);
  return emptied(rows);
}

/* ---- the factor of gradients ---- */

static __global__ void gradient_factor_kernel(const gradient_factor_args a) { gradient_factor_of(&a); }

int gradient_factor_on(CudaStream s, const struct gradient_factor_args *a) {
  LAUNCH(gradient_factor_kernel, 1, 1, 0, s, *a);
  return launched("gradient_factor");
}
