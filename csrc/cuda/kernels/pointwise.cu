/* A row of pointwise.def is a type with its functions; the kernels are templates over rows. A thread computes eight
 * neighbours, which move 16 bytes at a time where the memory is aligned. */
#include "cuda/kernels/pointwise.h"

#include "cuda/kernels/line.h"
#include "cuda/kernels/numbers.h"
#include "ops/bodies_math.h"
#include "ops/pointwise_rows.h"

#include <math.h>

#ifdef __CUDACC__
#pragma nv_diag_suppress 550 /* not every row reads all of x, y, p, q */
#endif

/* In a row's expressions the operands are x, y, dy, p, q, or a and b. */
#define UNUSED(...) unused(__VA_ARGS__)
template <class... T> static __device__ inline void unused(T...) {}

#define UNARY(name, keep, domain, doc, f, dx) BOUNDED(name, keep, , , , doc, f, dx)
#define BOUNDED(name, keep, args, absent_p, absent_q, doc, f, dx)                                            \
  struct name##_row {                                                                                        \
    static const char *label() { return #name; }                                                             \
    static __device__ float forward(float x, float p, float q) {                                             \
      UNUSED(p, q);                                                                                          \
      return f;                                                                                              \
    }                                                                                                        \
    static __device__ float backward(float x, float y, float dy, float p, float q) {                         \
      UNUSED(x, y, p, q);                                                                                    \
      return dx;                                                                                             \
    }                                                                                                        \
  };
#define BINARY(name, keep, domain, doc, f, da, db)                                                           \
  struct name##_row {                                                                                        \
    static const char *label() { return #name; }                                                             \
    static __device__ float forward(float a, float b) { return f; }                                          \
    static __device__ float backward(int side, float a, float b, float y, float dy) {                        \
      UNUSED(a, b, y);                                                                                       \
      return side ? (db) : (da);                                                                             \
    }                                                                                                        \
  };
#define COMPARE(name, doc, f)                                                                                \
  struct name##_row {                                                                                        \
    static const char *label() { return #name; }                                                             \
    template <class T> static __device__ bool forward(T a, T b) { return f; }                                \
  };
#include "ops/pointwise.def"
#undef UNARY
#undef BOUNDED
#undef BINARY
#undef COMPARE

enum { WIDTH = 8 };
typedef Pack<WIDTH> Eight;

/* ---- one operand ---- */

template <class Row>
static __global__ void unary_forward(long n, bool aligned, Numbers x, Numbers y, float p, float q) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Eight f = load<WIDTH>(x, i, n, whole);
  for (int k = 0; k < WIDTH; k++) f.v[k] = Row::forward(f.v[k], p, q);
  store(y, i, n, whole, f);
}

template <class Row>
static __global__ void unary_backward(long n, bool aligned, Numbers x, Numbers y, Numbers dy, Numbers g,
                                      bool add, float p, float q) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Eight fx = load<WIDTH>(x, i, n, whole), fy = load<WIDTH>(y, i, n, whole), fd = load<WIDTH>(dy, i, n, whole),
        to = {};
  if (add) to = load<WIDTH>(g, i, n, whole);
  for (int k = 0; k < WIDTH; k++) to.v[k] += Row::backward(fx.v[k], fy.v[k], fd.v[k], p, q);
  store(g, i, n, whole, to);
}

template <class Row>
static int unary_forward_as(CudaStream s, long n, Dtype dtype, const void *x, void *y, float p, float q) {
  LAUNCH(unary_forward<Row>, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, aligned16(x) && aligned16(y),
         numbers_of(x, dtype), numbers_of(y, dtype), p, q);
  return launched(Row::label());
}

template <class Row>
static int unary_backward_as(CudaStream s, long n, Dtype dtype, const void *x, const void *y, const void *dy,
                             void *g, bool add, float p, float q) {
  bool aligned = aligned16(x) && aligned16(y) && aligned16(dy) && aligned16(g);
  LAUNCH(unary_backward<Row>, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, aligned, numbers_of(x, dtype),
         numbers_of(y, dtype), numbers_of(dy, dtype), numbers_of(g, dtype), add, p, q);
  return launched(Row::label());
}

/* ---- two operands ---- */

static __device__ inline void offsets(const Strides &w, long at, long *a, long *b) {
  *a = *b = 0;
  for (int d = w.rank - 1; d >= 0; d--) {
    long k = at % w.shape[d];
    at /= w.shape[d];
    *a += k * w.a[d];
    *b += k * w.b[d];
  }
}

static __device__ inline Eight gather(const Strides &w, const Numbers &p, bool second, long i, long n) {
  Eight f;
  for (int k = 0; k < WIDTH; k++) {
    long a = 0, b = 0;
    if (i + k < n) offsets(w, i + k, &a, &b);
    f.v[k] = i + k < n ? number_at(p, second ? b : a) : 0;
  }
  return f;
}

template <class Row>
static __global__ void binary_forward(long n, bool plain, bool aligned, Strides w, Numbers a, Numbers b,
                                      Numbers y) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Eight fa = plain ? load<WIDTH>(a, i, n, whole) : gather(w, a, false, i, n);
  Eight fb = plain ? load<WIDTH>(b, i, n, whole) : gather(w, b, true, i, n), to;
  for (int k = 0; k < WIDTH; k++) to.v[k] = Row::forward(fa.v[k], fb.v[k]);
  store(y, i, n, whole, to);
}

template <class Row>
static __global__ void binary_backward(int side, long n, bool plain, bool aligned, Strides w, Numbers a,
                                       Numbers b, Numbers y, Numbers dy, Numbers g, bool add) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Eight fa = plain ? load<WIDTH>(a, i, n, whole) : gather(w, a, false, i, n);
  Eight fb = plain ? load<WIDTH>(b, i, n, whole) : gather(w, b, true, i, n);
  Eight fy = load<WIDTH>(y, i, n, whole), fd = load<WIDTH>(dy, i, n, whole), to = {};
  if (add) to = load<WIDTH>(g, i, n, whole);
  for (int k = 0; k < WIDTH; k++) to.v[k] += Row::backward(side, fa.v[k], fb.v[k], fy.v[k], fd.v[k]);
  store(g, i, n, whole, to);
}

template <class Row, class T>
static __global__ void compare_kernel(long n, Strides w, const T *a, const T *b, uint8_t *y) {
  long i = INDEX, at, bt;
  if (i >= n) return;
  offsets(w, i, &at, &bt);
  y[i] = Row::forward(a[at], b[bt]);
}

template <class Row, class T>
static __global__ void compare_plain_kernel(long n, const T *a, const T *b, uint8_t *y) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = i + WIDTH <= n;
  Line<T, WIDTH> fa = line_load<WIDTH>(a + i, n - i, whole), fb = line_load<WIDTH>(b + i, n - i, whole);
  Line<uint8_t, WIDTH> to;
  for (int k = 0; k < WIDTH; k++) to.v[k] = Row::forward(fa.v[k], fb.v[k]);
  line_store(y + i, n - i, whole, to);
}

/* Whether both operands have the output's shape. */
static bool is_plain(const Strides *w) { return w->rank == 1 && w->a[0] == 1 && w->b[0] == 1; }

template <class Row>
static int binary_forward_as(CudaStream s, long n, const Strides *w, Dtype dtype, const void *a,
                             const void *b, void *y) {
  bool plain = is_plain(w), aligned = aligned16(y) && (!plain || (aligned16(a) && aligned16(b)));
  LAUNCH(binary_forward<Row>, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, plain, aligned, *w,
         numbers_of(a, dtype), numbers_of(b, dtype), numbers_of(y, dtype));
  return launched(Row::label());
}

template <class Row>
static int binary_backward_as(CudaStream s, int side, long n, const Strides *w, Dtype dtype, const void *a,
                              const void *b, const void *y, const void *dy, void *g, bool add) {
  bool plain = is_plain(w),
       aligned = aligned16(y) && aligned16(dy) && aligned16(g) && (!plain || (aligned16(a) && aligned16(b)));
  LAUNCH(binary_backward<Row>, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, side, n, plain, aligned, *w,
         numbers_of(a, dtype), numbers_of(b, dtype), numbers_of(y, dtype), numbers_of(dy, dtype),
         numbers_of(g, dtype), add);
  return launched(Row::label());
}

template <class Row, class T>
static int compare_as(CudaStream s, long n, const Strides *w, const void *a, const void *b, uint8_t *y) {
  if (is_plain(w) && all_aligned16({a, b, y}))
    LAUNCH((compare_plain_kernel<Row, T>), blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, (const T *)a,
           (const T *)b, y);
  else
    LAUNCH((compare_kernel<Row, T>), blocks_for(n), THREADS, 0, s, n, *w, (const T *)a, (const T *)b, y);
  return launched(Row::label());
}

/* ---- rows by number ---- */

#define BOUNDED(name, ...) UNARY(name)
#define BINARY(...)
#define COMPARE(...)
int unary_forward_on(CudaStream s, int row, long n, Dtype dtype, const void *x, void *y, float p, float q) {
  switch (n ? row : UNARIES) {
#define UNARY(name, ...)                                                                                     \
  case UNARY_##name:                                                                                         \
    return unary_forward_as<name##_row>(s, n, dtype, x, y, p, q);
#include "ops/pointwise.def"
#undef UNARY
  }
  return 1;
}

int unary_backward_on(CudaStream s, int row, long n, Dtype dtype, const void *x, const void *y,
                      const void *dy, void *g, bool add, float p, float q) {
  switch (n ? row : UNARIES) {
#define UNARY(name, ...)                                                                                     \
  case UNARY_##name:                                                                                         \
    return unary_backward_as<name##_row>(s, n, dtype, x, y, dy, g, add, p, q);
#include "ops/pointwise.def"
#undef UNARY
  }
  return 1;
}
#undef BOUNDED
#undef BINARY

#define UNARY(...)
#define BOUNDED(...)
int binary_forward_on(CudaStream s, int row, long n, const Strides *w, Dtype dtype, const void *a,
                      const void *b, void *y) {
  switch (n ? row : BINARIES) {
#define BINARY(name, ...)                                                                                    \
  case BINARY_##name:                                                                                        \
    return binary_forward_as<name##_row>(s, n, w, dtype, a, b, y);
#include "ops/pointwise.def"
#undef BINARY
  }
  return 1;
}

int binary_backward_on(CudaStream s, int row, int side, long n, const Strides *w, Dtype dtype, const void *a,
                       const void *b, const void *y, const void *dy, void *g, bool add) {
  switch (n ? row : BINARIES) {
#define BINARY(name, ...)                                                                                    \
  case BINARY_##name:                                                                                        \
    return binary_backward_as<name##_row>(s, side, n, w, dtype, a, b, y, dy, g, add);
#include "ops/pointwise.def"
#undef BINARY
  }
  return 1;
}
#undef COMPARE

#define BINARY(...)
int compare_on(CudaStream s, int row, Dtype dtype, long n, const Strides *w, const void *a, const void *b,
               uint8_t *y) {
  switch (n ? row : COMPARES) {
#define COMPARE(name, ...)                                                                                   \
  case COMPARE_##name:                                                                                       \
    return dtype == F32   ? compare_as<name##_row, float>(s, n, w, a, b, y)                                  \
           : dtype == F64 ? compare_as<name##_row, double>(s, n, w, a, b, y)                                 \
                          : compare_as<name##_row, int64_t>(s, n, w, a, b, y);
#include "ops/pointwise.def"
#undef COMPARE
  }
  return 1;
}
