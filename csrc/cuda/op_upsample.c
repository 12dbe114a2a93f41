/* upsample2 and upsample2_cat (ops/op_upsample.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/upsample.h"

static Upsample upsample_of(const Call *c) {
  const long *x = c->in[0]->shape;
  return (Upsample){x[0], x[1], x[2], x[3], c->nin > 1 && c->in[1] ? c->in[1]->shape[3] : 0};
}

static int upsample_forward(Call *c) {
  Upsample u = upsample_of(c);
  float *y = output(c, 0);
  return y && upsample_on(stream_of(c), &u, c->dtype, input(c, 0), u.cs ? input(c, 1) : NULL, y);
}

static int upsample_backward(Call *c) {
  Upsample u = upsample_of(c);
  const float *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[0]) {
    float *dx = call_grad(c, 0, &add);
    if (!dx || !upsample_back_on(stream_of(c), &u, c->dtype, dy, dx, add)) return 0;
  }
  if (c->nin < 2 || !c->needs_grad[1]) return 1;
  float *dskip = call_grad(c, 1, &add);
  return dskip && upsample_skip_back_on(stream_of(c), &u, c->dtype, dy, dskip, add);
}

const Kernel cuda_upsample2 = {.forward = upsample_forward, .backward = upsample_backward};
const Kernel cuda_upsample2_cat = {.forward = upsample_forward, .backward = upsample_backward};
