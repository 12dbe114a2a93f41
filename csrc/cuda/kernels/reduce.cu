/* A reduction sees its input as outer x reduced x inner (cut.h). What is cut into parts the last block adds (last.h). Where
 * sizes and memory allow it 16 bytes move at once: W numbers, else W is 1. */
#include "cuda/kernels/reduce.h"

#include "cuda/kernels/cut.h"
#include "cuda/kernels/last.h"
#include "cuda/kernels/line.h"
#include "cuda/kernels/sums.h"

/* How many columns move at once, where memory is aligned. */
template <class T> static int columns_wide(long inner) { return inner % wide_of<T> ? 1 : wide_of<T>; }

template <class T> static SumRoom room_as(long outer, long reduced, long inner) {
  Cut c = cut(outer, reduced, inner, columns_wide<T>(inner));
  if (c.parts == 1) return {0, 0};
  return {(size_t)(outer * inner * c.parts),
          inner == 1 ? outer : (long)column_lanes(outer * inner, reduced, 1).blocks}; /* W of 1 has most */
}

SumRoom sum_middle_room(Dtype from, long outer, long reduced, long inner) {
  return from == F64 ? room_as<double>(outer, reduced, inner)
                     : BY_DTYPE(from, room_as, outer, reduced, inner);
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

/* The sum of a thread's lines of W numbers, `step` numbers from each other, from number i on below `end`: some of them are
 * on their way together, so that none is read where a branch must be taken before. */
template <int W, class T>
static __device__ inline Line<Sum<T>, W> lines_sum(const T *from, long i, long end, long step) {
  constexpr int TOGETHER = W > 1 ? 4 : AT_ONCE;
  Line<Sum<T>, W> total = {};
  for (; i < end; i += TOGETHER * step) {
    Line<T, W> l[TOGETHER];
#pragma unroll
    for (int j = 0; j < TOGETHER; j++)
      l[j] = line_load_whole<W>(from + (i + j * step < end ? i + j * step : i));
#pragma unroll
    for (int j = 0; j < TOGETHER; j++)
#pragma unroll
      for (int k = 0; k < W; k++) total.v[k] += i + j * step < end ? widened(l[j].v[k]) : 0;
  }
  return total;
}

/* Team: part row % parts of a row, in lines. */
template <bool LONG, int W, class T, class Y>
static __global__ void __launch_bounds__(THREADS, EACH)
    rows_kernel(int size, const T *x, long rows, long reduced, const __grid_constant__ SumsTo<T, Y> to) {
  Team<LONG> team(size);
  long count = LONG ? to.cut.parts : 1, row = team.row / count, begin = team.row % count * to.cut.length;
  long end = begin + to.cut.length < reduced ? begin + to.cut.length : reduced;
  if (row >= rows) end = begin;
  Line<Sum<T>, W> line = lines_sum<W>(x + row * reduced, begin + team.rank * W, end, team.size * W);
  Sum<T> total = 0;
  for (int k = 0; k < W; k++) total += line.v[k];
  total = team.all(total, Add());
  if (LONG && count > 1) {
    if (team.rank == 0) to.parts[team.row] = total;
    if (!is_last(to.counters + row, (unsigned)count)) return;
    total = team.all(lines_sum<1>(to.parts + row * count, team.rank, count, team.size).v[0], Add());
  }
  if (row < rows && team.rank == 0) to.put(row, total);
}

template <int W, class S> static __device__ inline Line<S, W> over_rows(const Line<S, W> &v, unsigned lanes) {
  return over_rows(v, lanes, [](Line<S, W> &a, const Line<S, W> &b) {
    for (int k = 0; k < W; k++) a.v[k] += b.v[k];
  });
}

/* Block: columns of lanes blockIdx.x, part blockIdx.y; parts x outer x inner. */
template <int W, class T, class Y>
static __global__ void __launch_bounds__(THREADS, EACH)
    columns_kernel(const T *x, long columns, long reduced, long inner, Lanes l,
                   const __grid_constant__ SumsTo<T, Y> to) {
  long column = (long)(blockIdx.x * l.lanes + threadIdx.x % l.lanes) * W, begin = blockIdx.y * to.cut.length;
  long end = begin + to.cut.length < reduced ? begin + to.cut.length : reduced;
  long row = threadIdx.x / l.lanes, step = THREADS / l.lanes;
  bool inside = column < columns;
  const T *from = x + column / inner * reduced * inner + column % inner;
  Line<Sum<T>, W> total =
      over_rows(lines_sum<W>(from, (begin + row) * inner, inside ? end * inner : 0, step * inner), l.lanes);
  if (to.cut.parts > 1) {
    if (inside && row == 0) line_store_whole(to.parts + blockIdx.y * columns + column, total);
    if (!is_last(to.counters + blockIdx.x, (unsigned)to.cut.parts)) return;
    end = inside ? to.cut.parts * columns : 0;
    total = over_rows(lines_sum<W>(to.parts + column, row * columns, end, step * columns), l.lanes);
  }
  for (int k = 0; k < W && inside && row == 0; k++) to.put(column + k, total.v[k]);
}

template <class T, class Y>
static int sum_middle_as(CudaStream s, const T *x, long outer, long reduced, long inner, Sum<T> scale, Y *y,
                         bool add, void *scratch, unsigned *counters) {
  SumsTo<T, Y> to = {
      cut(outer, reduced, inner, columns_wide<T>(inner)), scale, y, add, (Sum<T> *)scratch, counters};
  constexpr int W = wide_of<T>;
  long columns = outer * inner, along = inner == 1 ? reduced : inner;
  bool wide = along % W == 0 && aligned16(x) && aligned16(scratch);
  Lanes l = column_lanes(columns, reduced, wide ? W : 1);
  dim3 blocks(l.blocks, (unsigned)to.cut.parts);
  if (!columns) return 1;
  if (inner == 1 && wide)
    LAUNCH_TEAMS(rows_kernel, W, s, outer * to.cut.parts, to.cut.length, x, outer, reduced, to);
  else if (inner == 1)
    LAUNCH_TEAMS(rows_kernel, 1, s, outer * to.cut.parts, to.cut.length, x, outer, reduced, to);
  else if (wide)
    LAUNCH((columns_kernel<W, T, Y>), blocks, THREADS, 0, s, x, columns, reduced, inner, l, to);
  else
    LAUNCH((columns_kernel<1, T, Y>), blocks, THREADS, 0, s, x, columns, reduced, inner, l, to);
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

/* A team for each sum; W > 1: of numbers side by side. */
template <bool LONG, int W, class T>
static __global__ void __launch_bounds__(THREADS)
    squares_kernel(int size, const T *x, const float *mean, long sums, long reduced, long inner,
                   float divisor, T *y) {
  Team<LONG> team(size);
  long at = team.row, end = at < sums ? reduced : 0;
  const T *from = x + at / inner * reduced * inner + at % inner;
  float total = 0, m = end ? mean[at] : 0;
  for (long r = team.rank * W; r < end; r += team.size * W) {
    Line<T, W> l = line_load_whole<W>(from + r * inner);
#pragma unroll
    for (int k = 0; k < W; k++) {
      float d = widened(l.v[k]) - m;
      total += d * d;
    }
  }
  total = team.all(total, Add());
  if (at < sums && team.rank == 0) narrowed(total / divisor, y + at);
}

int squares_on(CudaStream s, Dtype dtype, const void *x, const float *mean, long outer, long reduced,
               long inner, float divisor, void *y) {
  if (!outer || !inner) return 1;
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    constexpr int W = wide_of<T>;
    if (inner == 1 && reduced % W == 0 && aligned16(x))
      LAUNCH_TEAMS(squares_kernel, W, s, outer, reduced, (const T *)x, mean, outer, reduced, inner, divisor,
                   (T *)y);
    else
      LAUNCH_TEAMS(squares_kernel, 1, s, outer * inner, reduced, (const T *)x, mean, outer * inner, reduced,
                   inner, divisor, (T *)y);
  });
  return launched("var");
}
