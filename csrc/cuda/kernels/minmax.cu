/* A reduction sees its input as outer x reduced x inner (cut.h). What is cut into parts takes a second pass, over the parts'
 * bests. */
#include "cuda/kernels/minmax.h"

#include "cuda/kernels/cut.h"
#include "cuda/kernels/line.h"
#include "cuda/kernels/team.h"

template <class T> struct Best {
  T value;
  int64_t place; /* from 1; 0: of nothing */
};

template <class T> static __device__ inline Best<T> other(Best<T> v, int by) {
  return {other(v.value, by), other(v.place, by)};
}

struct Better {
  bool smallest;
  template <class T> __device__ Best<T> operator()(Best<T> a, Best<T> b) const {
    if (!a.place || !b.place) return a.place ? a : b;
    bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    bool alike = a_nan ? b_nan : a.value == b.value;
    bool first = alike      ? a.place < b.place
                 : a_nan    ? true
                 : b_nan    ? false
                 : smallest ? a.value < b.value
                            : a.value > b.value;
    return first ? a : b;
  }
};

/* Numbers, and of parts their places; what they were taken from has none. */
template <class T> struct Source {
  const T *x;
  const int64_t *place;
  __device__ Best<T> at(long i, long r) const { return {x[i], place ? place[i] : r + 1}; }
};

template <class T> struct Result {
  T *y; /* NULL: places alone */
  int64_t *place;
  __device__ void put(long i, Best<T> b) const {
    if (y) y[i] = b.value;
    place[i] = b.place;
  }
};

/* Team: part row % parts of a row. W: so many numbers move at once. */
template <bool LONG, int W, class T>
static __global__ void __launch_bounds__(THREADS)
    rows_kernel(int size, bool smallest, Source<T> from, long rows, long reduced, Cut c, Result<T> to) {
  Team<LONG> team(size);
  long row = c.parts == 1 ? team.row : team.row / c.parts;
  long begin = (team.row - row * c.parts) * c.length, end = begin + c.length;
  if (end > reduced) end = reduced;
  Better better = {smallest};
  Best<T> best = {};
  long step = team.size;
  if (W > 1) /* from.place is NULL */
    for (long r = begin + team.rank * W; row < rows && r < end; r += step * W) {
      Line<T, W> l = line_load_whole<W>(from.x + row * reduced + r);
#pragma unroll
      for (int k = 0; k < W; k++) best = better(best, Best<T>{l.v[k], r + k + 1});
    }
  else
    for (long r = begin + team.rank; row < rows && r < end; r += step)
      best = better(best, from.at(row * reduced + r, r));
  best = team.all(best, better);
  if (row < rows && team.rank == 0) to.put(team.row, best);
}

/* Block: columns of lanes blockIdx.x, part blockIdx.y; results: parts x outer x inner. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    columns_kernel(bool smallest, Source<T> from, long columns, long reduced, long inner, Lanes l,
                   long length, Result<T> to) {
  long column = blockIdx.x * l.lanes + threadIdx.x % l.lanes, begin = blockIdx.y * length,
       end = begin + length;
  long row = threadIdx.x / l.lanes, step = THREADS / l.lanes;
  bool inside = column < columns;
  if (end > reduced) end = reduced;
  long first = column / inner * reduced * inner + column % inner;
  Better better = {smallest};
  Best<T> best = {};
  for (long r = begin + row; inside && r < end; r += step) best = better(best, from.at(first + r * inner, r));
  best = over_rows(best, l.lanes, [better](Best<T> &a, const Best<T> &b) { a = better(a, b); });
  if (inside && row == 0) to.put(blockIdx.y * columns + column, best);
}

template <class T>
static int pass(CudaStream s, bool smallest, Source<T> from, long outer, long reduced, long inner, Cut c,
                Result<T> to) {
  constexpr int W = wide_of<T>;
  long columns = outer * inner;
  int size = team_size(c.length);
  Lanes l = column_lanes(columns, reduced, 1);
  if (inner > 1)
    LAUNCH(columns_kernel<T>, dim3(l.blocks, (unsigned)c.parts), THREADS, 0, s, smallest, from, columns,
           reduced, inner, l, c.length, to);
  else if (is_long(c.length) && !from.place && aligned16(from.x) && reduced % W == 0 && c.length % W == 0)
    LAUNCH((rows_kernel<true, W, T>), (unsigned)(outer * c.parts), THREADS, 0, s, size, smallest, from, outer,
           reduced, c, to);
  else if (is_long(c.length))
    LAUNCH((rows_kernel<true, 1, T>), (unsigned)(outer * c.parts), THREADS, 0, s, size, smallest, from, outer,
           reduced, c, to);
  else
    LAUNCH((rows_kernel<false, 1, T>), blocks_for(outer * c.parts * size), THREADS, 0, s, size, smallest,
           from, outer, reduced, c, to);
  return launched("max");
}

template <class T>
static int minmax_as(CudaStream s, bool smallest, const void *x, long outer, long reduced, long inner,
                     void *y, int64_t *place, void *scratch) {
  Cut c = cut(outer, reduced, inner, 1), whole = {1, c.parts};
  Source<T> from = {(const T *)x, NULL};
  Result<T> to = {(T *)y, place};
  if (c.parts == 1) return pass(s, smallest, from, outer, reduced, inner, c, to);
  int64_t *places = (int64_t *)scratch;
  T *values = (T *)(places + outer * inner * c.parts);
  bool rows = inner == 1;
  return pass(s, smallest, from, outer, reduced, inner, c, Result<T>{values, places}) &&
         pass(s, smallest, Source<T>{values, places}, rows ? outer : 1, c.parts, rows ? 1 : outer * inner,
              whole, to);
}

size_t minmax_scratch(Dtype dtype, long outer, long reduced, long inner) {
  Cut c = cut(outer, reduced, inner, 1);
  size_t each = sizeof(int64_t) + dtype_bytes[dtype];
  return c.parts > 1 ? (size_t)(outer * inner * c.parts) * each : 0;
}

int minmax_on(CudaStream s, Dtype dtype, bool smallest, const void *x, long outer, long reduced, long inner,
              void *y, int64_t *place, void *scratch) {
  switch (outer && inner ? dtype : DTYPES) {
  case F32: return minmax_as<float>(s, smallest, x, outer, reduced, inner, y, place, scratch);
  case F64: return minmax_as<double>(s, smallest, x, outer, reduced, inner, y, place, scratch);
  case U8: return minmax_as<uint8_t>(s, smallest, x, outer, reduced, inner, y, place, scratch);
  case I32: return minmax_as<int32_t>(s, smallest, x, outer, reduced, inner, y, place, scratch);
  case I64: return minmax_as<int64_t>(s, smallest, x, outer, reduced, inner, y, place, scratch);
  default: return 1;
  }
}

template <class T>
static __global__ void place_kernel(const T *dy, const int64_t *place, long n, long reduced, long inner,
                                    T *g) {
  long i = INDEX;
  if (i < n) g[(i / inner * reduced + place[i] - 1) * inner + i % inner] += dy[i];
}

int place_on(CudaStream s, bool wide, const void *dy, const int64_t *place, long outer, long reduced,
             long inner, void *g) {
  long n = outer * inner;
  if (!n) return 1;
  if (wide)
    LAUNCH(place_kernel<double>, blocks_for(n), THREADS, 0, s, (const double *)dy, place, n, reduced, inner,
           (double *)g);
  else
    LAUNCH(place_kernel<float>, blocks_for(n), THREADS, 0, s, (const float *)dy, place, n, reduced, inner,
           (float *)g);
  return launched("max");
}
