/* unfold (ops/op_window.c). */
#include "cuda/op_kit.h"

#include "ops/window_sizes.h"

#include "cuda/kernels/unfold.h"

static int unfold_forward(Call *c) {
  Frame f;
  float *y = output(c, 0);
  return y && frame_of(c, &f) && unfold_on(stream_of(c), c->in[0]->shape[0], &f, input(c, 0), y);
}

static int unfold_backward(Call *c) {
  Frame f;
  bool add;
  if (!c->grad_out[0]) return 1;
  float *dx = call_grad(c, 0, &add);
  return dx && frame_of(c, &f) &&
         unfold_back_on(stream_of(c), c->in[0]->shape[0], &f, grad_out(c, 0), dx, add);
}

const Kernel cuda_unfold = {.forward = unfold_forward, .backward = unfold_backward};
