/* Products of dense matrices, in tiles. */
#include "cuda/kernels/product.h"

#include "cuda/kernels/tiles.h"

/* Neighbours of a lie along the depth unless it is transposed, those of b across it. */
template <class T, bool WIDE, bool TA> struct SideA { typedef Along<T::M, Matrix<WIDE, Numbers>> type; };
template <class T, bool WIDE> struct SideA<T, WIDE, true> {
  typedef Across<T::M, Matrix<WIDE, Numbers>> type;
};
template <class T, bool WIDE, bool TB> struct SideB { typedef Across<T::N, Matrix<WIDE, Numbers>> type; };
template <class T, bool WIDE> struct SideB<T, WIDE, true> {
  typedef Along<T::N, Matrix<WIDE, Numbers>> type;
};

static __device__ inline float limited_to_1(float v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

/* Blocks: columns fastest, then rows, matrices of the stack, parts of `length` products. */
template <class T, bool WIDE, bool TA, bool TB>
static __global__ void __launch_bounds__(THREADS, T::BLOCKS)
    product_kernel(Product p, long length, unsigned columns, unsigned rows, Numbers a, Numbers b, Numbers y,
                   bool add, bool limited) {
  unsigned block = blockIdx.x, column = block % columns;
  block /= columns;
  unsigned row = block % rows;
  long number = block / rows, matrix = number % p.batch, begin = number / p.batch * length;
  long depth = p.k - begin < length ? p.k - begin : length;
  Matrix<WIDE, Numbers> from_a = {
      a, p.m, depth, TA ? 1 : p.k, TA ? p.m : 1, matrix * p.a_step + begin * (TA ? p.m : 1)};
  Matrix<WIDE, Numbers> from_b = {
      b, p.n, depth, TB ? p.k : 1, TB ? 1 : p.n, matrix * p.b_step + begin * (TB ? 1 : p.n)};
  Sums<T> sum = {};
  if (depth > 0)
    multiply<T>(typename SideA<T, WIDE, TA>::type(from_a, (long)row * T::M),
                typename SideB<T, WIDE, TB>::type(from_b, (long)column * T::N), depth, sum);
#pragma unroll
  for (int i = 0; i < T::TM; i++) {
    long r = (long)row * T::M + row_of<T>(i);
    if (r >= p.m) continue;
    long to = (number * p.m + r) * p.n;
#pragma unroll
    for (int j = 0; j < T::TN; j++) {
      long n = (long)column * T::N + column_of<T>(j);
      if (n >= p.n) continue;
      float v = (add ? number_at(y, to + n) : 0) + sum.v[i][j];
      put_number(y, to + n, limited ? limited_to_1(v) : v);
    }
  }
}

enum { BUSY = 2 * 132, LEAST = 256, MOST = 8192 }; /* blocks that keep a GPU busy; products of a part */

static long blocks_of(const Product *p, int m, int n) {
  return (long)blocks_for(p->m, m) * blocks_for(p->n, n) * p->batch;
}

long product_parts(const Product *p) {
  long blocks = blocks_of(p, 64, 64), parts = blocks ? BUSY / blocks : 1, most = (p->k + LEAST - 1) / LEAST;
  if (parts > most) parts = most;
  if (parts < (p->k + MOST - 1) / MOST) parts = (p->k + MOST - 1) / MOST;
  return parts > 0 ? parts : 1;
}

template <class T, bool WIDE, bool TA, bool TB>
static int product_as(CudaStream s, const Product *p, long parts, Numbers a, Numbers b, Numbers y, bool add,
                      bool limited) {
  unsigned columns = blocks_for(p->n, T::N), rows = blocks_for(p->m, T::M);
  long length = ((p->k + parts - 1) / parts + DEPTH - 1) / DEPTH * DEPTH; /* parts begin where fours do */
  LAUNCH((product_kernel<T, WIDE, TA, TB>), columns * rows * (unsigned)(p->batch * parts), THREADS, 0, s, *p,
         length, columns, rows, a, b, y, add, limited);
  return launched("matmul");
}

template <bool TA, bool TB>
static int product_of(CudaStream s, const Product *p, long parts, Numbers a, Numbers b, Numbers y, bool add,
                      bool limited) {
  bool wide = (TA ? p->m : p->k) % 4 == 0 && (TB ? p->k : p->n) % 4 == 0 && p->a_step % 4 == 0 &&
              p->b_step % 4 == 0 && aligned16(a.data) && aligned16(b.data);
  if (!wide) return product_as<Tile<64, 64, 4, 4>, false, TA, TB>(s, p, parts, a, b, y, add, limited);
  if (blocks_of(p, 128, 64) * parts >= BUSY)
    return product_as<Tile<128, 64, 8, 4>, true, TA, TB>(s, p, parts, a, b, y, add, limited);
  return product_as<Tile<64, 64, 4, 4>, true, TA, TB>(s, p, parts, a, b, y, add, limited);
}

int product_on(CudaStream s, const Product *p, long parts, ProductData d, bool add, bool limited) {
  Numbers a = numbers_of(d.a, d.a_dtype), b = numbers_of(d.b, d.b_dtype), y = numbers_of(d.y, d.y_dtype);
  if (!p->batch || !p->m || !p->n) return 1;
  if (p->ta)
    return p->tb ? product_of<true, true>(s, p, parts, a, b, y, add, limited)
                 : product_of<true, false>(s, p, parts, a, b, y, add, limited);
  return p->tb ? product_of<false, true>(s, p, parts, a, b, y, add, limited)
               : product_of<false, false>(s, p, parts, a, b, y, add, limited);
}

static __global__ void limited_backward_kernel(long n, const float *y, const float *dy, float *g) {
  long i = INDEX;
  if (i < n) g[i] = y[i] > 0 && y[i] < 1 ? dy[i] : 0;
}

int limited_backward_on(CudaStream s, long n, const float *y, const float *dy, float *g) {
  if (!n) return 1;
  LAUNCH(limited_backward_kernel, blocks_for(n), THREADS, 0, s, n, y, dy, g);
  return launched("attention");
}
