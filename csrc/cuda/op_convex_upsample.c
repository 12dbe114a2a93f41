/* convex_upsample (ops/op_convex_upsample.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/convex.h"
#include "ops/convex_sizes.h"

static int upsample_forward(Call *c) {
  Convex g = convex_of(c);
  float *y = output(c, 0);
  return y && convex_on(stream_of(c), convex_pixels(c), &g, input(c, INPUT), input(c, MASK), y);
}

static int upsample_backward(Call *c) {
  Convex g = convex_of(c);
  const float *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[INPUT]) {
    float *dx = call_grad(c, INPUT, &add);
    if (!dx || !convex_image_on(stream_of(c), convex_pixels(c), &g, input(c, MASK), dy, dx, add)) return 0;
  }
  if (!c->needs_grad[MASK]) return 1;
  float *dmask = call_grad(c, MASK, &add);
  return dmask &&
         convex_mask_on(stream_of(c), convex_pixels(c), &g, input(c, INPUT), input(c, MASK), dy, dmask, add);
}

const Kernel cuda_convex_upsample = {.forward = upsample_forward, .backward = upsample_backward};
