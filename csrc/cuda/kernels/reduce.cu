/* A reduction sees its input as outer x reduced x inner. Where rows lie in one piece (inner == 1) a block adds a row;
 * otherwise a thread adds a column, its neighbours the columns beside it. What is long is cut into parts, whose sums
 * a second pass adds. */
#include "cuda/kernels/reduce.h"

#include "cuda/kernels/cut.h"
#include "cuda/kernels/sums.h"

size_t sum_middle_scratch(long outer, long reduced, long inner) {
  Cut c = cut(outer, reduced, inner);
  return c.parts > 1 ? (size_t)(outer * inner * c.parts) : 0;
}

/* Block b: part b % parts of row b / parts. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    rows_kernel(const T *x, long reduced, long parts, long length, T scale, T *y, bool add) {
  long row = blockIdx.x / parts, part = blockIdx.x % parts, begin = part * length;
  long end = begin + length < reduced ? begin + length : reduced;
  const T *from = x + row * reduced;
  T total = 0;
  for (long i = begin + threadIdx.x; i < end; i += THREADS) total += from[i];
  total = block_sum(total);
  if (threadIdx.x == 0) y[blockIdx.x] = (add ? y[blockIdx.x] : 0) + scale * total;
}

/* Thread: column i of outer o, part blockIdx.y; y: parts x outer x inner. */
template <class T>
static __global__ void columns_kernel(const T *x, long columns, long reduced, long inner, long length,
                                      T scale, T *y, bool add) {
  long column = INDEX, part = blockIdx.y, begin = part * length;
  if (column >= columns) return;
  long end = begin + length < reduced ? begin + length : reduced;
  const T *from = x + column / inner * reduced * inner + column % inner;
  T *to = y + part * columns + column, total = 0;
  for (long r = begin; r < end; r++) total += from[r * inner];
  *to = (add ? *to : 0) + scale * total;
}

template <class T>
static int columns_on(CudaStream s, const T *x, long outer, long reduced, long inner, Cut c, T scale, T *y,
                      bool add) {
  long columns = outer * inner;
  LAUNCH(columns_kernel<T>, dim3(blocks_for(columns), (unsigned)c.parts), THREADS, 0, s, x, columns, reduced,
         inner, c.length, scale, y, add);
  return launched("sum");
}

template <class T>
static int rows_on(CudaStream s, const T *x, long outer, long reduced, Cut c, T scale, T *y, bool add) {
  LAUNCH(rows_kernel<T>, (unsigned)(outer * c.parts), THREADS, 0, s, x, reduced, c.parts, c.length, scale, y,
         add);
  return launched("sum");
}

template <class T>
static int sum_middle_as(CudaStream s, const T *x, long outer, long reduced, long inner, T scale, T *y,
                         bool add, T *scratch) {
  Cut c = cut(outer, reduced, inner);
  if (!outer || !inner) return 1;
  if (inner == 1) {
    if (c.parts == 1) return rows_on<T>(s, x, outer, reduced, c, scale, y, add);
    return rows_on<T>(s, x, outer, reduced, c, 1, scratch, false) &&
           rows_on<T>(s, scratch, outer, c.parts, (Cut){1, c.parts}, scale, y, add);
  }
  if (c.parts == 1) return columns_on<T>(s, x, outer, reduced, inner, c, scale, y, add);
  return columns_on<T>(s, x, outer, reduced, inner, c, 1, scratch, false) &&
         columns_on<T>(s, scratch, 1, c.parts, outer * inner, (Cut){1, c.parts}, scale, y, add);
}

int sum_middle_on(CudaStream s, bool wide, const void *x, long outer, long reduced, long inner, double scale,
                  void *y, bool add, void *scratch) {
  if (wide)
    return sum_middle_as(s, (const double *)x, outer, reduced, inner, scale, (double *)y, add,
                         (double *)scratch);
  return sum_middle_as(s, (const float *)x, outer, reduced, inner, (float)scale, (float *)y, add,
                       (float *)scratch);
}

static __global__ void spread_kernel(long n, long reduced, long inner, const float *dy, const float *x,
                                     const float *mean, float scale, float *g, bool add) {
  long i = INDEX;
  if (i >= n) return;
  long o = i / (reduced * inner) * inner + i % inner;
  float v = scale * dy[o];
  if (x) v *= x[i] - mean[o];
  g[i] = (add ? g[i] : 0) + v;
}

int spread_on(CudaStream s, long outer, long reduced, long inner, const float *dy, const float *x,
              const float *mean, float scale, float *g, bool add) {
  long n = outer * reduced * inner;
  if (!n) return 1;
  LAUNCH(spread_kernel, blocks_for(n), THREADS, 0, s, n, reduced, inner, dy, x, mean, scale, g, add);
  return launched("spread");
}

/* A block for each sum. */
static __global__ void __launch_bounds__(THREADS)
    squares_kernel(const float *x, const float *mean, long reduced, long inner, float divisor, float *y) {
  long at = blockIdx.x;
  const float *from = x + at / inner * reduced * inner + at % inner;
  float total = 0, m = mean[at];
  for (long r = threadIdx.x; r < reduced; r += THREADS) {
    float d = from[r * inner] - m;
    total += d * d;
  }
  total = block_sum(total);
  if (threadIdx.x == 0) y[at] = total / divisor;
}

int squares_on(CudaStream s, const float *x, const float *mean, long outer, long reduced, long inner,
               float divisor, float *y) {
  if (!outer || !inner) return 1;
  LAUNCH(squares_kernel, (unsigned)(outer * inner), THREADS, 0, s, x, mean, reduced, inner, divisor, y);
  return launched("var");
}
