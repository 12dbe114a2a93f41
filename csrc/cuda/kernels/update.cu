/* Blocks of equal work over all parameters: each finds the row that its numbers are in. What the bodies say of one
 * number, for four neighbours a thread at a time. */
#include "cuda/launch.h" /* before the bodies: they are CUDA's here */

#include "cuda/kernels/four.h"
#include "cuda/kernels/update.h"
#include "ops/bodies_adamw.h"
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

static __device__ void update(const struct adamw_step &step, const UpdateRow &r, long i, long n, bool whole) {
  Four p = load(r.p, i, n, whole), m = load(r.first, i, n, whole), v = load(r.second, i, n, whole),
       g = load(r.g, i, n, whole);
  for (int k = 0; k < WIDTH; k++) adamw_update(step, p.v + k, m.v + k, v.v + k, g.v[k]);
  store(r.p, i, n, whole, p);
  store(r.first, i, n, whole, m);
  store(r.second, i, n, whole, v);
}

static __device__ void update(const struct sgd_step &step, const UpdateRow &r, long i, long n, bool whole) {
  Four p = load(r.p, i, n, whole), g = load(r.g, i, n, whole);
  if (r.first) {
    Four v = load(r.first, i, n, whole);
    for (int k = 0; k < WIDTH; k++) sgd_update(step, p.v + k, v.v + k, g.v[k]);
    store(r.first, i, n, whole, v);
  } else
    for (int k = 0; k < WIDTH; k++) sgd_plain(step, p.v + k, g.v[k]);
  store(r.p, i, n, whole, p);
}

template <class Step>
static __global__ void __launch_bounds__(THREADS)
    update_kernel(const __grid_constant__ UpdateRows rows, const Step *numbers) {
  const UpdateRow r = rows.row[row_of(rows, blockIdx.x)];
  const Step step = *numbers;
  bool aligned = aligned_row(r);
  long begin = (long)(blockIdx.x - r.block) * UPDATE_CHUNK, n = min((long)r.n, begin + UPDATE_CHUNK);
  for (long i = begin + threadIdx.x * WIDTH; i < n; i += THREADS * WIDTH)
    update(step, r, i, n, aligned && i + WIDTH <= n);
}

int update_on(CudaStream s, UpdateKind kind, const float *numbers, UpdateRows *rows) {
  if (rows->blocks && kind == UPDATE_ADAMW)
    LAUNCH(update_kernel<adamw_step>, rows->blocks, THREADS, 0, s, *rows, (const adamw_step *)numbers);
  else if (rows->blocks)
    LAUNCH(update_kernel<sgd_step>, rows->blocks, THREADS, 0, s, *rows, (const sgd_step *)numbers);
  rows->count = 0;
  rows->blocks = 0;
  return launched("update");
}
