/* A reduction sees its input as outer x reduced x inner. Where rows lie in one piece (inner == 1) a block adds a row;
 * otherwise a thread adds columns, its neighbours those beside them. What is long is cut into parts, whose sums the last
 * block adds (last.h). Where sizes and memory allow it 16 bytes move at once: W numbers, else W is 1. */
#include "cuda/kernels/reduce.h"

#include "cuda/kernels/cut.h"
#include "cuda/kernels/last.h"
#include "cuda/kernels/line.h"
#include "cuda/kernels/sums.h"

SumRoom sum_middle_room(long outer, long reduced, long inner) {
  Cut c = cut(outer, reduced, inner);
  if (c.parts == 1) return {0, 0};
  return {(size_t)(outer * inner * c.parts), inner == 1 ? outer : (long)blocks_for(outer * inner)};
}

/* What numbers of T are added up in. */
template <class T> using Sum = decltype(widened(T()));

/* Where sums go, through parts of them or at once. */
template <class T, class Y> struct SumsTo {
  Cut cut;
  Sum<T> scale;
  Y *y;
  bool add;
  Sum<T> *parts;
  unsigned *counters;

  __device__ void put(long i, Sum<T> total) const {
    narrowed((add ? widened(y[i]) : 0) + scale * total, y + i);
  }
};

template <int W, class T> static __device__ inline Sum<T> line_sum(const T *p) {
  Line<T, W> l = line_load_whole<W>(p);
  Sum<T> total = 0;
#pragma unroll
  for (int k = 0; k < W; k++) total += widened(l.v[k]);
  return total;
}

/* Block b: part b % parts of row b / parts. */
template <int W, class T, class Y>
static __global__ void __launch_bounds__(THREADS)
    rows_kernel(const T *x, long reduced, const __grid_constant__ SumsTo<T, Y> to) {
  long count = to.cut.parts, row = blockIdx.x / count, begin = blockIdx.x % count * to.cut.length;
  long end = begin + to.cut.length < reduced ? begin + to.cut.length : reduced;
  const T *from = x + row * reduced;
  Sum<T> total = 0;
  for (long i = begin + threadIdx.x * W; i < end; i += THREADS * W) total += line_sum<W>(from + i);
  total = block_sum(total);
  if (count > 1) {
    if (threadIdx.x == 0) to.parts[blockIdx.x] = total;
    if (!is_last(to.counters + row, (unsigned)count)) return;
    total = 0;
    for (long p = threadIdx.x; p < count; p += THREADS) total += to.parts[row * count + p];
    total = block_sum(total);
  }
  if (threadIdx.x == 0) to.put(row, total);
}

/* Thread: W columns from i of outer o on, part blockIdx.y; parts x outer x inner. */
template <int W, class T, class Y>
static __global__ void __launch_bounds__(THREADS)
    columns_kernel(const T *x, long columns, long reduced, long inner,
                   const __grid_constant__ SumsTo<T, Y> to) {
  long column = INDEX * W, begin = blockIdx.y * to.cut.length;
  long end = begin + to.cut.length < reduced ? begin + to.cut.length : reduced;
  bool mine = column < columns;
  const T *from = x + column / inner * reduced * inner + column % inner;
  Line<Sum<T>, W> total = {};
  for (long r = begin; mine && r < end; r++) {
    Line<T, W> l = line_load_whole<W>(from + r * inner);
#pragma unroll
    for (int k = 0; k < W; k++) total.v[k] += widened(l.v[k]);
  }
  if (to.cut.parts > 1) {
    if (mine) line_store_whole(to.parts + blockIdx.y * columns + column, total);
    if (!is_last(to.counters + blockIdx.x, (unsigned)to.cut.parts)) return;
    total = {};
#pragma unroll 4
    for (long p = 0; mine && p < to.cut.parts; p++) {
      Line<Sum<T>, W> more = line_load_whole<W>(to.parts + p * columns + column);
#pragma unroll
      for (int k = 0; k < W; k++) total.v[k] += more.v[k];
    }
  }
  for (int k = 0; k < W && mine; k++) to.put(column + k, total.v[k]);
}

template <class T, class Y>
static int sum_middle_as(CudaStream s, const T *x, long outer, long reduced, long inner, Sum<T> scale, Y *y,
                         bool add, void *scratch, unsigned *counters) {
  SumsTo<T, Y> to = {cut(outer, reduced, inner), scale, y, add, (Sum<T> *)scratch, counters};
  constexpr int W = wide_of<T>;
  long columns = outer * inner, along = inner == 1 ? reduced : inner;
  bool wide = along % W == 0 && aligned16(x) && aligned16(scratch);
  unsigned blocks = (unsigned)(outer * to.cut.parts);
  if (!columns) return 1;
  if (inner == 1 && wide && to.cut.length % W == 0)
    LAUNCH((rows_kernel<W, T, Y>), blocks, THREADS, 0, s, x, reduced, to);
  else if (inner == 1)
    LAUNCH((rows_kernel<1, T, Y>), blocks, THREADS, 0, s, x, reduced, to);
  else if (wide)
    LAUNCH((columns_kernel<W, T, Y>), dim3(blocks_for(columns, THREADS * W), (unsigned)to.cut.parts), THREADS,
           0, s, x, columns, reduced, inner, to);
  else
    LAUNCH((columns_kernel<1, T, Y>), dim3(blocks_for(columns), (unsigned)to.cut.parts), THREADS, 0, s, x,
           columns, reduced, inner, to);
  return launched("sum");
}

int sum_middle_on(CudaStream s, Dtype from, const void *x, long outer, long reduced, long inner, double scale,
                  Dtype to, void *y, bool add, void *scratch, unsigned *counters) {
  int ok = 0;
  if (from == F64)
    return sum_middle_as(s, (const double *)x, outer, reduced, inner, scale, (double *)y, add, scratch,
                         counters);
  with_type(from == F32 ? to : from, [&](auto t) {
    TYPE_OF(t);
    const float *x32 = (const float *)x;
    float by = (float)scale, *y32 = (float *)y;
    ok = from == F32 ? sum_middle_as(s, x32, outer, reduced, inner, by, (T *)y, add, scratch, counters)
         : to == F32
             ? sum_middle_as(s, (const T *)x, outer, reduced, inner, by, y32, add, scratch, counters)
             : sum_middle_as(s, (const T *)x, outer, reduced, inner, by, (T *)y, add, scratch, counters);
  });
  return ok;
}

/* W numbers that share a sum where inner is 1, else W sums side by side. */
template <int W, class T>
static __global__ void spread_kernel(long n, long reduced, long inner, const T *dy, const T *x,
                                     const float *mean, float scale, T *g, bool add) {
  long i = INDEX * W;
  if (i >= n) return;
  long o = i / (reduced * inner) * inner + i % inner;
  Line<T, W> to = {}, from = {};
  if (add) to = line_load_whole<W>(g + i);
  if (x) from = line_load_whole<W>(x + i);
#pragma unroll
  for (int k = 0; k < W; k++) {
    long at = inner == 1 ? o : o + k;
    float v = scale * widened(dy[at]);
    if (x) v *= widened(from.v[k]) - mean[at];
    narrowed((add ? widened(to.v[k]) : 0) + v, to.v + k);
  }
  line_store_whole(g + i, to);
}

int spread_on(CudaStream s, Dtype dtype, long outer, long reduced, long inner, const void *dy, const void *x,
              const float *mean, float scale, void *g, bool add) {
  long n = outer * reduced * inner, along = inner == 1 ? reduced : inner;
  if (!n) return 1;
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    constexpr int W = wide_of<T>;
    if (along % W == 0 && all_aligned16({x, g})) /* x may be NULL */
      LAUNCH((spread_kernel<W, T>), blocks_for(n, THREADS * W), THREADS, 0, s, n, reduced, inner,
             (const T *)dy, (const T *)x, mean, scale, (T *)g, add);
    else
      LAUNCH((spread_kernel<1, T>), blocks_for(n), THREADS, 0, s, n, reduced, inner, (const T *)dy,
             (const T *)x, mean, scale, (T *)g, add);
  });
  return launched("spread");
}

/* A block for each sum; W > 1: of numbers side by side. */
template <int W, class T>
static __global__ void __launch_bounds__(THREADS)
    squares_kernel(const T *x, const float *mean, long reduced, long inner, float divisor, T *y) {
  long at = blockIdx.x;
  const T *from = x + at / inner * reduced * inner + at % inner;
  float total = 0, m = mean[at];
  for (long r = threadIdx.x * W; r < reduced; r += THREADS * W) {
    Line<T, W> l = line_load_whole<W>(from + r * inner);
#pragma unroll
    for (int k = 0; k < W; k++) {
      float d = widened(l.v[k]) - m;
      total += d * d;
    }
  }
  total = block_sum(total);
  if (threadIdx.x == 0) narrowed(total / divisor, y + at);
}

int squares_on(CudaStream s, Dtype dtype, const void *x, const float *mean, long outer, long reduced,
               long inner, float divisor, void *y) {
  if (!outer || !inner) return 1;
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    constexpr int W = wide_of<T>;
    if (inner == 1 && reduced % W == 0 && aligned16(x))
      LAUNCH((squares_kernel<W, T>), (unsigned)outer, THREADS, 0, s, (const T *)x, mean, reduced, inner,
             divisor, (T *)y);
    else
      LAUNCH((squares_kernel<1, T>), (unsigned)(outer * inner), THREADS, 0, s, (const T *)x, mean, reduced,
             inner, divisor, (T *)y);
  });
  return launched("var");
}
