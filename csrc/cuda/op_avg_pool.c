/* avg_pool2d (ops/op_window.c). */
#include "cuda/op_kit.h"

#include "ops/window_sizes.h"

#include "cuda/kernels/pool.h"

static int avg_pool_forward(Call *c) {
  Frame f;
  float *y = output(c, 0);
  return y && frame_of(c, &f) && avg_pool_on(stream_of(c), c->in[0]->shape[0], &f, input(c, 0), y);
}

static int avg_pool_backward(Call *c) {
  Frame f;
  bool add;
  if (!c->grad_out[0]) return 1;
  float *dx = call_grad(c, 0, &add);
  return dx && frame_of(c, &f) &&
         avg_pool_back_on(stream_of(c), c->in[0]->shape[0], &f, grad_out(c, 0), dx, add);
}

const Kernel cuda_avg_pool2d = {.forward = avg_pool_forward, .backward = avg_pool_backward};
