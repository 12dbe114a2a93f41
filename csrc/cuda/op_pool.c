/* max_pool2d and global_pool (ops/op_pool.c): of these the second is a mean and what it spreads. */
#include "cuda/op_kit.h"

#include "cuda/kernels/pool.h"
#include "cuda/kernels/reduce.h"

enum { KERNEL_SIZE, STRIDE, PADDING };

static MaxPool pool_of(const Call *c, const long *y) {
  const long *x = c->in[0]->shape;
  return (MaxPool){.images = x[0],
                   .h = x[1],
                   .w = x[2],
                   .c = x[3],
                   .ho = y[1],
                   .wo = y[2],
                   .kernel = c->arg[KERNEL_SIZE].list[0],
                   .stride = c->arg[STRIDE].list[0],
                   .padding = c->arg[PADDING].list[0]};
}

static int max_pool_forward(Call *c) {
  const long *shape = c->out[0]->shape;
  MaxPool p = pool_of(c, shape);
  Tensor *kept = call_save_new(c, 0, U8, 4, shape);
  uint8_t *place = kept ? tensor_write(kept) : NULL;
  float *y = output(c, 0);
  return place && y && max_pool_on(stream_of(c), &p, c->dtype, input(c, 0), y, place);
}

static int max_pool_backward(Call *c) {
  MaxPool p = pool_of(c, c->saved[0]->shape);
  bool add;
  if (!c->grad_out[0]) return 1;
  float *dx = call_grad(c, 0, &add);
  return dx &&
         max_pool_back_on(stream_of(c), &p, c->dtype, grad_out(c, 0), tensor_data(c->saved[0]), dx, add);
}

const Kernel cuda_max_pool2d = {.forward = max_pool_forward, .backward = max_pool_backward};

/* ---- global_pool ---- */

static int global_pool_forward(Call *c) {
  const long *x = c->in[0]->shape;
  float *y = output(c, 0);
  long pixels = x[1] * x[2];
  return y && cuda_sum_middle(c, c->dtype, input(c, 0), x[0], pixels, x[3], 1 / (double)pixels, c->dtype, y,
                              false);
}

static int global_pool_backward(Call *c) {
  const long *x = c->in[0]->shape;
  long pixels = x[1] * x[2];
  bool add;
  if (!c->grad_out[0]) return 1;
  float *dx = call_grad(c, 0, &add);
  return dx && spread_on(stream_of(c), c->dtype, x[0], pixels, x[3], grad_out(c, 0), NULL, NULL,
                         1 / (float)pixels, dx, add);
}

const Kernel cuda_global_pool = {.forward = global_pool_forward, .backward = global_pool_backward};
