/* A reduction sees its input as outer x reduced x inner. Where rows lie in one piece (inner == 1) a block adds a row;
 * otherwise a thread adds a column, its neighbours the columns beside it. What is long is cut into parts, whose sums
 * a second pass adds. */
#include "cuda/kernels/reduce.h"

#include "cuda/kernels/cut.h"
#include "cuda/kernels/pack.h"
#include "cuda/kernels/sums.h"

size_t sum_middle_scratch(long outer, long reduced, long inner) {
  Cut c = cut(outer, reduced, inner);
  return c.parts > 1 ? (size_t)(outer * inner * c.parts) : 0;
}

/* What numbers of T are added up in. */
template <class T> using Sum = decltype(widened(T()));

/* Block b: part b % parts of row b / parts. */
template <class T, class Y>
static __global__ void __launch_bounds__(THREADS)
    rows_kernel(const T *x, long reduced, long parts, long length, Sum<T> scale, Y *y, bool add) {
  long row = blockIdx.x / parts, part = blockIdx.x % parts, begin = part * length;
  long end = begin + length < reduced ? begin + length : reduced;
  const T *from = x + row * reduced;
  Sum<T> total = 0;
  for (long i = begin + threadIdx.x; i < end; i += THREADS) total += widened(from[i]);
  total = block_sum(total);
  if (threadIdx.x == 0) narrowed((add ? widened(y[blockIdx.x]) : 0) + scale * total, y + blockIdx.x);
}

/* Thread: column i of outer o, part blockIdx.y; y: parts x outer x inner. */
template <class T, class Y>
static __global__ void columns_kernel(const T *x, long columns, long reduced, long inner, long length,
                                      Sum<T> scale, Y *y, bool add) {
  long column = INDEX, part = blockIdx.y, begin = part * length;
  if (column >= columns) return;
  long end = begin + length < reduced ? begin + length : reduced;
  const T *from = x + column / inner * reduced * inner + column % inner;
  Y *to = y + part * columns + column;
  Sum<T> total = 0;
  for (long r = begin; r < end; r++) total += widened(from[r * inner]);
  narrowed((add ? widened(*to) : 0) + scale * total, to);
}

template <class T, class Y>
static int columns_on(CudaStream s, const T *x, long outer, long reduced, long inner, Cut c, Sum<T> scale,
                      Y *y, bool add) {
  long columns = outer * inner;
  LAUNCH((columns_kernel<T, Y>), dim3(blocks_for(columns), (unsigned)c.parts), THREADS, 0, s, x, columns,
         reduced, inner, c.length, scale, y, add);
  return launched("sum");
}

template <class T, class Y>
static int rows_on(CudaStream s, const T *x, long outer, long reduced, Cut c, Sum<T> scale, Y *y, bool add) {
  LAUNCH((rows_kernel<T, Y>), (unsigned)(outer * c.parts), THREADS, 0, s, x, reduced, c.parts, c.length,
         scale, y, add);
  return launched("sum");
}

template <class T, class Y>
static int sum_middle_as(CudaStream s, const T *x, long outer, long reduced, long inner, Sum<T> scale, Y *y,
                         bool add, void *scratch) {
  Cut c = cut(outer, reduced, inner);
  Sum<T> *parts = (Sum<T> *)scratch;
  if (!outer || !inner) return 1;
  if (inner == 1) {
    if (c.parts == 1) return rows_on(s, x, outer, reduced, c, scale, y, add);
    return rows_on(s, x, outer, reduced, c, 1, parts, false) &&
           rows_on(s, (const Sum<T> *)parts, outer, c.parts, (Cut){1, c.parts}, scale, y, add);
  }
  if (c.parts == 1) return columns_on(s, x, outer, reduced, inner, c, scale, y, add);
  return columns_on(s, x, outer, reduced, inner, c, 1, parts, false) &&
         columns_on(s, (const Sum<T> *)parts, 1, c.parts, outer * inner, (Cut){1, c.parts}, scale, y, add);
}

int sum_middle_on(CudaStream s, Dtype from, const void *x, long outer, long reduced, long inner, double scale,
                  Dtype to, void *y, bool add, void *scratch) {
  int ok = 0;
  if (from == F64)
    return sum_middle_as(s, (const double *)x, outer, reduced, inner, scale, (double *)y, add, scratch);
  with_type(from == F32 ? to : from, [&](auto t) {
    TYPE_OF(t);
    const float *x32 = (const float *)x;
    float by = (float)scale, *y32 = (float *)y;
    ok = from == F32 ? sum_middle_as(s, x32, outer, reduced, inner, by, (T *)y, add, scratch)
         : to == F32 ? sum_middle_as(s, (const T *)x, outer, reduced, inner, by, y32, add, scratch)
                     : sum_middle_as(s, (const T *)x, outer, reduced, inner, by, (T *)y, add, scratch);
  });
  return ok;
}

template <class T>
static __global__ void spread_kernel(long n, long reduced, long inner, const T *dy, const T *x,
                                     const float *mean, float scale, T *g, bool add) {
  long i = INDEX;
  if (i >= n) return;
  long o = i / (reduced * inner) * inner + i % inner;
  float v = scale * widened(dy[o]);
  if (x) v *= widened(x[i]) - mean[o];
  narrowed((add ? widened(g[i]) : 0) + v, g + i);
}

int spread_on(CudaStream s, Dtype dtype, long outer, long reduced, long inner, const void *dy, const void *x,
              const float *mean, float scale, void *g, bool add) {
  long n = outer * reduced * inner;
  if (!n) return 1;
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    LAUNCH(spread_kernel<T>, blocks_for(n), THREADS, 0, s, n, reduced, inner, (const T *)dy, (const T *)x,
           mean, scale, (T *)g, add);
  });
  return launched("spread");
}

/* A block for each sum. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    squares_kernel(const T *x, const float *mean, long reduced, long inner, float divisor, T *y) {
  long at = blockIdx.x;
  const T *from = x + at / inner * reduced * inner + at % inner;
  float total = 0, m = mean[at];
  for (long r = threadIdx.x; r < reduced; r += THREADS) {
    float d = widened(from[r * inner]) - m;
    total += d * d;
  }
  total = block_sum(total);
  if (threadIdx.x == 0) narrowed(total / divisor, y + at);
}

int squares_on(CudaStream s, Dtype dtype, const void *x, const float *mean, long outer, long reduced,
               long inner, float divisor, void *y) {
  if (!outer || !inner) return 1;
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    LAUNCH(squares_kernel<T>, (unsigned)(outer * inner), THREADS, 0, s, (const T *)x, mean, reduced, inner,
           divisor, (T *)y);
  });
  return launched("var");
}
