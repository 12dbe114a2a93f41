/* The ops' kernels on CUDA: every row of pointwise.def becomes its kernels here, and the bodies of csrc/ops
 * are compiled as they stand. One thread per index; nothing is tuned for a device. */
#include "backend/cuda/launch.h"
extern "C" {
#include "ops/ops_cuda.h"
}

#include "ops/bodies_adamw.h"
#include "ops/bodies_math.h"
#include "ops/bodies_pool.h"
#include "ops/bodies_sgd.h"
#include "ops/bodies_upsample.h"

#include <math.h>

#pragma nv_diag_suppress 550 /* not every row reads all of x, y, p, q */

/* ---- rows of pointwise.def ---- */
static __device__ long stride_offset(const CudaBroadcast *w, const long *stride, long at) {
  long offset = 0;
  for (int d = w->rank - 1; d >= 0; at /= w->shape[d--]) offset += at % w->shape[d] * stride[d];
  return offset;
}

struct UnaryForward {
  const real *X;
  real *Y;
  real p, q;
};
struct UnaryBackward {
  const real *X, *Y, *DY;
  real *G;
  bool add;
  real p, q;
};

#define UNARY(name, keep, domain, doc, f, dx) BOUNDED(name, keep, domain, 0, 0, doc, f, dx)
#define BOUNDED(name, keep, args, absent_p, absent_q, doc, f, dx)                                            \
  BODY void name##_forward_body(const UnaryForward *a, long i) {                                             \
    real x = a->X[i], p = a->p, q = a->q;                                                                    \
    (void)p, (void)q;                                                                                        \
    a->Y[i] = f;                                                                                             \
  }                                                                                                          \
  KERNEL_OF(name##_forward, UnaryForward)                                                                    \
  static int name##_forward_run(CudaStream s, long n, const real *x, real *y, real p, real q) {              \
    return launch(name##_forward_kernel, s, n, UnaryForward{x, y, p, q});                                    \
  }                                                                                                          \
  BODY void name##_backward_body(const UnaryBackward *a, long i) {                                           \
    real x = a->X[i], y = a->Y[i], dy = a->DY[i], p = a->p, q = a->q;                                        \
    (void)x, (void)y, (void)p, (void)q;                                                                      \
    a->G[i] = (a->add ? a->G[i] : 0) + (dx);                                                                 \
  }                                                                                                          \
  KERNEL_OF(name##_backward, UnaryBackward)                                                                  \
  static int name##_backward_run(CudaStream s, long n, const real *x, const real *y, const real *dy,         \
                                 real *g, bool add, real p, real q) {                                        \
    return launch(name##_backward_kernel, s, n, UnaryBackward{x, y, dy, g, add, p, q});                      \
  }

template <typename To> struct Pair {
  CudaBroadcast w;
  const real *A, *B, *Y, *DY;
  To *G;
  bool add;
  __device__ real first(long i) const { return A[stride_offset(&w, w.a, i)]; }
  __device__ real second(long i) const { return B[stride_offset(&w, w.b, i)]; }
};

/* In a row's expressions a and b are the operands. */
#define PAIR_FORWARD(name, To, f)                                                                            \
  BODY void name##_forward_body(const Pair<To> *k, long i) {                                                 \
    real a = k->first(i), b = k->second(i);                                                                  \
    k->G[i] = f;                                                                                             \
  }                                                                                                          \
  KERNEL_OF(name##_forward, Pair<To>)                                                                        \
  static int name##_forward_run(CudaStream s, long n, const CudaBroadcast *w, const real *a, const real *b,  \
                                To *y) {                                                                     \
    return launch(name##_forward_kernel, s, n, Pair<To>{*w, a, b, NULL, NULL, y, false});                    \
  }
#define PAIR_BACKWARD(name, g)                                                                               \
  BODY void name##_body(const Pair<real> *k, long i) {                                                       \
    real a = k->first(i), b = k->second(i), y = k->Y[i], dy = k->DY[i];                                      \
    (void)a, (void)b, (void)y;                                                                               \
    k->G[i] = (k->add ? k->G[i] : 0) + (g);                                                                  \
  }                                                                                                          \
  KERNEL_OF(name, Pair<real>)                                                                                \
  static int name##_run(CudaStream s, long n, const CudaBroadcast *w, const real *a, const real *b,          \
                        const real *y, const real *dy, real *to, bool add) {                                 \
    return launch(name##_kernel, s, n, Pair<real>{*w, a, b, y, dy, to, add});                                \
  }
#define BINARY(name, keep, domain, doc, f, da, db)                                                           \
  PAIR_FORWARD(name, real, f)                                                                                \
  PAIR_BACKWARD(name##_da, da)                                                                               \
  PAIR_BACKWARD(name##_db, db)
#define COMPARE(name, doc, f) PAIR_FORWARD(name, uint8_t, f)
#include "ops/pointwise.def"
#undef UNARY
#undef BOUNDED
#undef BINARY
#undef COMPARE

#define BOUNDED(name, ...) UNARY(name)
#define UNARY(name, ...) {#name, name##_forward_run, name##_backward_run},
#define BINARY(name, ...)
#define COMPARE(name, ...)
static const CudaUnary unaries[] = {
#include "ops/pointwise.def"
};
#undef UNARY
#undef BINARY
#define UNARY(name, ...)
#define BINARY(name, ...) {#name, name##_forward_run, {name##_da_run, name##_db_run}},
static const CudaBinary binaries[] = {
#include "ops/pointwise.def"
};
#undef BINARY
#undef COMPARE
#define BINARY(name, ...)
#define COMPARE(name, ...) {#name, name##_forward_run},
static const CudaCompare compares[] = {
#include "ops/pointwise.def"
};
#undef UNARY
#undef BOUNDED
#undef BINARY
#undef COMPARE

/* ---- the shared bodies ---- */
static int pool_forward(CudaStream s, long images, const CudaWindow *k, const float *x, float *y,
                        uint8_t *place) {
  return launch(
      max_pool_forward_kernel, s, images * k->ho * k->wo,
      max_pool_forward_args{x, y, place, k->h, k->w, k->c, k->ho, k->wo, k->kernel, k->stride, k->padding});
}

static int pool_backward(CudaStream s, long images, const CudaWindow *k, const float *dy,
                         const uint8_t *place, float *dx, bool add) {
  return launch(max_pool_backward_kernel, s, images * k->h * k->w,
                max_pool_backward_args{dy, place, dx, add, k->h, k->w, k->c, k->ho, k->wo, k->kernel,
                                       k->stride, k->padding});
}

static int mean_backward(CudaStream s, long images, long pixels, long c, const float *dy, float *dx,
                         bool add) {
  return launch(global_pool_backward_kernel, s, images * pixels,
                global_pool_backward_args{dy, dx, 1 / (float)pixels, add, pixels, c});
}

static int up_forward(CudaStream s, long rows, long w, long cx, long cs, const float *x, const float *skip,
                      float *y) {
  return launch(upsample_forward_kernel, s, rows * w * 4, upsample_forward_args{x, skip, y, w, cx, cs});
}

static int up_backward(CudaStream s, long rows, long w, long cx, long cs, const float *dy, float *dx,
                       bool add) {
  return launch(upsample_backward_kernel, s, rows * w, upsample_backward_args{dy, dx, add, w, cx, cs});
}

static int skip_back(CudaStream s, long pixels, long cx, long cs, const float *dy, float *dskip, bool add) {
  return launch(skip_backward_kernel, s, pixels, skip_backward_args{dy, dskip, add, cx, cs});
}

static int adamw_run(CudaStream s, long n, float *p, float *m, float *v, const float *g, float lr,
                     float beta1, float beta2, float eps, float decay, long step) {
  float rate = (float)(lr / (1 - pow(beta1, (double)step))),
        root = (float)(1 / sqrt(1 - pow(beta2, (double)step)));
  return launch(
      adamw_kernel, s, (n + ADAMW_BLOCK - 1) / ADAMW_BLOCK,
      adamw_args{n, p, m, v, g, beta1, beta2, 1 - beta1, 1 - beta2, 1 - lr * decay, rate, root, eps});
}

static int sgd_run(CudaStream s, long n, float *p, float *v, const float *g, float lr, float momentum,
                   float decay, bool nesterov) {
  return launch(sgd_kernel, s, (n + SGD_BLOCK - 1) / SGD_BLOCK,
                sgd_args{n, p, v, g, lr, momentum, decay, nesterov});
}

#define COUNT(list) (int)(sizeof list / sizeof *list)
extern "C" const CudaOps *cuda_ops(void) {
  static const CudaOps ops = {unaries,         binaries,     compares,      COUNT(unaries), COUNT(binaries),
                              COUNT(compares), pool_forward, pool_backward, mean_backward,  up_forward,
                              up_backward,     skip_back,    adamw_run,     sgd_run};
  return &ops;
}
