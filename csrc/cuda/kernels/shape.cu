/* Moving elements: units by their bytes, in index arithmetic of 32 bits where that is enough. Where the order of
 * dimensions changes so that neighbours in memory are not neighbours in the result, squares of 32 x 32 elements pass
 * through shared memory: both sides move along their rows. */
#include "cuda/kernels/shape.h"

#include "cuda/kernels/half.h"
#include "cuda/launch.h"

enum { TILE = 32, TILE_LEAST = 8 };

/* ---- units ---- */

struct alignas(16) Unit16 {
  uint64_t part[2];
};

/* Numbers are added, units are stored. */
template <class T> static __device__ inline void put(T *to, T v) { *to = v; }
static __device__ inline void put(float *to, float v) { *to += v; }
static __device__ inline void put(double *to, double v) { *to += v; }
static __device__ inline void put(Brain *to, Brain v) { narrowed(widened(*to) + widened(v), to); }
static __device__ inline void put(Half *to, Half v) { narrowed(widened(*to) + widened(v), to); }
template <class T> static __device__ inline void put_nothing(T *to) { *to = {}; }
static __device__ inline void put_nothing(float *) {}
static __device__ inline void put_nothing(double *) {}
static __device__ inline void put_nothing(Brain *) {}
static __device__ inline void put_nothing(Half *) {}

/* The largest unit that divides what is or-ed together in bits: sizes in bytes and addresses. */
static size_t unit_of(uintptr_t bits) {
  bits |= sizeof(Unit16);
  return bits & -bits;
}

/* call<T>(...) for the unit. */
#define BY_UNIT(unit, call, ...)                                                                             \
  ((unit) == 1   ? call<uint8_t>(__VA_ARGS__)                                                                \
   : (unit) == 2 ? call<uint16_t>(__VA_ARGS__)                                                               \
   : (unit) == 4 ? call<uint32_t>(__VA_ARGS__)                                                               \
   : (unit) == 8 ? call<uint64_t>(__VA_ARGS__)                                                               \
                 : call<Unit16>(__VA_ARGS__))

/* For the numbers that are added. */
#define BY_NUMBER(dtype, call, ...)                                                                          \
  ((dtype) == F64 ? call<double>(__VA_ARGS__) : BY_DTYPE(dtype, call, __VA_ARGS__))

static bool is_short(long n) { return n <= INT32_MAX; }

/* ---- gather ---- */

template <class T, class Index>
static __global__ void __launch_bounds__(THREADS) gather_kernel(Walk w, const T *from, T *to) {
  if (INDEX >= w.size) return;
  Index i = (Index)INDEX, left = i, offset = 0;
  for (int d = w.rank - 1; d > 0; d--) {
    Index n = (Index)w.shape[d], rest = left / n;
    offset += (left - rest * n) * (Index)w.stride[d];
    left = rest;
  }
  put(to + i, from[offset + left * (Index)w.stride[0]]);
}

static long last_offset(const Walk *w) {
  long at = 0;
  for (int d = 0; d < w->rank; d++) at += (w->shape[d] - 1) * w->stride[d];
  return at;
}

template <class T> static int gather_as(CudaStream s, const Walk *w, const void *from, void *to) {
  unsigned blocks = blocks_for(w->size);
  if (is_short(w->size) && is_short(last_offset(w)))
    LAUNCH((gather_kernel<T, uint32_t>), blocks, THREADS, 0, s, *w, (const T *)from, (T *)to);
  else
    LAUNCH((gather_kernel<T, uint64_t>), blocks, THREADS, 0, s, *w, (const T *)from, (T *)to);
  return launched("move");
}

/* Dimension a is the one whose elements are neighbours in `from`, b the last one of the walk; the others count. */
struct Squares {
  int rank;
  long shape[WALK_RANK], from[WALK_RANK], to[WALK_RANK];
  long a, b, from_b, to_a;
  unsigned across, down; /* squares along b and a */
};

/* Block: a square. */
template <class T>
static __global__ void __launch_bounds__(THREADS) squares_kernel(Squares q, const T *from, T *to) {
  __shared__ T square[TILE][TILE + 1];
  int x = threadIdx.x % TILE, y = threadIdx.x / TILE;
  unsigned at = blockIdx.x, rest = at / q.across;
  long b = (long)(at - rest * q.across) * TILE, a = (long)(rest % q.down) * TILE;
  at = rest / q.down;
  for (int d = q.rank - 1; d >= 0; d--) {
    unsigned k = at % (unsigned)q.shape[d];
    at /= (unsigned)q.shape[d];
    from += k * q.from[d];
    to += k * q.to[d];
  }
  for (int k = y; k < TILE; k += THREADS / TILE)
    if (a + x < q.a && b + k < q.b) square[k][x] = from[(b + k) * q.from_b + a + x];
  __syncthreads();
  for (int k = y; k < TILE; k += THREADS / TILE)
    if (a + k < q.a && b + x < q.b) put(to + (a + k) * q.to_a + b + x, square[x][k]);
}

/* Whether a walk is worth squares; then also which. */
static bool squares_of(const Walk *w, Squares *q) {
  int last = w->rank - 1, a = -1;
  long step = 1;
  *q = {};
  for (int d = 0; d < last; d++)
    if (w->stride[d] == 1) a = d;
  if (a < 0 || w->stride[last] < 2 || w->shape[a] < TILE_LEAST || w->shape[last] < TILE_LEAST) return false;
  q->a = w->shape[a];
  q->b = w->shape[last];
  q->from_b = w->stride[last];
  q->across = blocks_for(q->b, TILE);
  q->down = blocks_for(q->a, TILE);
  for (int d = last; d >= 0; step *= w->shape[d--]) {
    if (d == a) q->to_a = step;
    if (d == a || d == last) continue;
    q->shape[q->rank] = w->shape[d];
    q->from[q->rank] = w->stride[d];
    q->to[q->rank++] = step;
  }
  return true;
}

template <class T> static int squares_as(CudaStream s, const Squares *q, const void *from, void *to) {
  long blocks = (long)q->across * q->down;
  for (int d = 0; d < q->rank; d++) blocks *= q->shape[d];
  LAUNCH(squares_kernel<T>, (unsigned)blocks, THREADS, 0, s, *q, (const T *)from, (T *)to);
  return launched("move");
}

int gather_on(CudaStream s, const Walk *w, Dtype dtype, const void *from, void *to, bool add) {
  int last = w->rank - 1;
  size_t bytes = dtype_bytes[dtype];
  Walk units = *w;
  Squares q;
  if (!w->size) return 1;
  if (squares_of(w, &q))
    return add ? BY_NUMBER(dtype, squares_as, s, &q, from, to) : BY_UNIT(bytes, squares_as, s, &q, from, to);
  if (add) return BY_NUMBER(dtype, gather_as, s, w, from, to);
  if (w->stride[last] == 1) {
    uintptr_t bits = (uintptr_t)from | (uintptr_t)to | (uintptr_t)w->shape[last] * bytes;
    for (int d = 0; d < last; d++) bits |= (uintptr_t)w->stride[d] * bytes;
    long each = (long)(unit_of(bits) / bytes);
    for (int d = 0; d < last; d++) units.stride[d] /= each;
    units.shape[last] /= each;
    units.size /= each;
    bytes *= (size_t)each;
  }
  return BY_UNIT(bytes, gather_as, s, &units, from, to);
}

/* ---- join ---- */

template <class T, class Index>
static __global__ void __launch_bounds__(THREADS) join_kernel(Join j, Index n, Index row, T *to) {
  if (INDEX >= (long)n) return;
  Index i = (Index)INDEX, o = i / row, k = i - o * row;
  int p = 0;
  while (k >= (Index)j.piece[p]) k -= (Index)j.piece[p++];
  to[i] = ((const T *)j.from[p])[o * (Index)j.piece[p] + k];
}

template <class T> static int join_as(CudaStream s, Join j, long rows, void *to) {
  long row = 0, n;
  for (int p = 0; p < j.count; p++) row += j.piece[p] /= (long)sizeof(T);
  n = rows * row;
  if (is_short(n))
    LAUNCH((join_kernel<T, uint32_t>), blocks_for(n), THREADS, 0, s, j, (uint32_t)n, (uint32_t)row, (T *)to);
  else
    LAUNCH((join_kernel<T, uint64_t>), blocks_for(n), THREADS, 0, s, j, (uint64_t)n, (uint64_t)row, (T *)to);
  return launched("join");
}

int join_on(CudaStream s, const Join *j, long rows, void *to) {
  uintptr_t bits = (uintptr_t)to;
  for (int p = 0; p < j->count; p++)
    if (j->piece[p]) bits |= (uintptr_t)j->from[p] | (uintptr_t)j->piece[p];
  return BY_UNIT(unit_of(bits), join_as, s, *j, rows, to);
}

/* ---- reframe ---- */

template <class T, class Index>
static __global__ void __launch_bounds__(THREADS) reframe_kernel(Reframe f, const T *from, T *to) {
  if (INDEX >= f.images * f.h * f.w) return;
  Index i = (Index)INDEX, row = i / (Index)f.w, image = row / (Index)f.h;
  Index y = row - image * (Index)f.h, x = i - row * (Index)f.w - (Index)f.skip; /* wraps in front of skip */
  if (y < (Index)f.from_h && x < (Index)f.from_w)
    put(to + i, from[(image * (Index)f.from_h + y) * (Index)f.from_w + x]);
  else
    put_nothing(to + i);
}

template <class T> static int reframe_as(CudaStream s, Reframe f, const void *from, void *to) {
  long n = f.images * f.h * f.w;
  if (is_short(n) && is_short(f.images * f.from_h * f.from_w))
    LAUNCH((reframe_kernel<T, uint32_t>), blocks_for(n), THREADS, 0, s, f, (const T *)from, (T *)to);
  else
    LAUNCH((reframe_kernel<T, uint64_t>), blocks_for(n), THREADS, 0, s, f, (const T *)from, (T *)to);
  return launched("move");
}

int reframe_on(CudaStream s, const Reframe *f, Dtype dtype, const void *from, void *to, bool add) {
  Reframe units = *f;
  size_t bytes = dtype_bytes[dtype];
  if (!(f->images * f->h * f->w)) return 1;
  if (add) return BY_NUMBER(dtype, reframe_as, s, units, from, to);
  uintptr_t sizes = (uintptr_t)f->w | (uintptr_t)f->from_w | (uintptr_t)f->skip;
  long each = (long)(unit_of((uintptr_t)from | (uintptr_t)to | sizes * bytes) / bytes);
  units.w /= each;
  units.from_w /= each;
  units.skip /= each;
  return BY_UNIT(bytes * (size_t)each, reframe_as, s, units, from, to);
}
