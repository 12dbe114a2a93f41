/* avg_pool2d and unfold on the GPU (ops/op_window.c). */
#include "cuda/op_kit.h"

#include "ops/window_sizes.h"

#include "cuda/kernels/pool.h"
#include "cuda/kernels/unfold.h"

typedef int (*WindowForward)(CudaStream, long images, const Frame *, Dtype, const void *x, void *y);
typedef int (*WindowBackward)(CudaStream, long images, const Frame *, Dtype, const void *dy, void *dx,
                              bool add);

static int forward(Call *c, WindowForward f) {
  Frame frame;
  float *y = output(c, 0);
  return y && frame_of(c, &frame) && f(stream_of(c), c->in[0]->shape[0], &frame, c->dtype, input(c, 0), y);
}

static int backward(Call *c, WindowBackward f) {
  Frame frame;
  bool add;
  if (!c->grad_out[0]) return 1;
  float *dx = call_grad(c, 0, &add);
  return dx && frame_of(c, &frame) &&
         f(stream_of(c), c->in[0]->shape[0], &frame, c->dtype, grad_out(c, 0), dx, add);
}

static int avg_pool_forward(Call *c) { return forward(c, avg_pool_on); }
static int avg_pool_backward(Call *c) { return backward(c, avg_pool_back_on); }
static int unfold_forward(Call *c) { return forward(c, unfold_on); }
static int unfold_backward(Call *c) { return backward(c, unfold_back_on); }

const Kernel cuda_avg_pool2d = {.forward = avg_pool_forward, .backward = avg_pool_backward};
const Kernel cuda_unfold = {.forward = unfold_forward, .backward = unfold_backward};
