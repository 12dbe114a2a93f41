/* convex_upsample: enlarges by learned weights, as RAFT does its flow. */
#include "ops/convex_sizes.h"

enum { GRAIN = 16 };

static int upsample_shape(Call *c) {
  const Tensor *x = c->in[INPUT], *mask = c->in[MASK];
  long factor = c->arg[FACTOR].list[0];
  if (!want_real(c, INPUT) || !want_real(c, MASK) || !call_want_rank(c, INPUT, 4) ||
      !call_want_rank(c, MASK, 4))
    return 0;
  if (factor < 1 || factor > CONVEX_FACTOR_MAX)
    return call_fail(c, "factor: expected 1 to %d, found %ld", CONVEX_FACTOR_MAX, factor);
  if (memcmp(x->shape, mask->shape, 3 * sizeof *x->shape) ||
      mask->shape[3] != CONVEX_AROUND * factor * factor)
    return call_fail(c, "mask: expected the pixels of %s with %ld channels, found %s", tensor_text(x),
                     CONVEX_AROUND * factor * factor, tensor_text(mask));
  return call_out(c, 0, c->dtype, 4,
                  SHAPE(x->shape[0], factor * x->shape[1], factor * x->shape[2], x->shape[3]));
}

static int upsample_run(Call *c) {
  real *y = output(c, 0);
  return y && HOT_EACH(convex, convex_pixels(c), GRAIN, .x = input(c, INPUT), .mask = input(c, MASK), .y = y,
                       .g = convex_of(c));
}

static int upsample_back(Call *c) {
  Convex g = convex_of(c);
  const real *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[INPUT]) {
    real *dx = call_grad(c, INPUT, &add);
    if (!dx || !HOT_EACH(convex_image, convex_pixels(c), GRAIN, .mask = input(c, MASK), .dy = dy, .dx = dx,
                         .add = add, .g = g))
      return 0;
  }
  if (!c->needs_grad[MASK]) return 1;
  real *dmask = call_grad(c, MASK, &add);
  return dmask && HOT_EACH(convex_mask, convex_pixels(c), GRAIN, .x = input(c, INPUT), .mask = input(c, MASK),
                           .dy = dy, .dmask = dmask, .add = add, .g = g);
}

static int upsample_sample(Call *c, Random *r, int variant) {
  static const long samples[][5] = {{2, 2, 3, 2, 2}, {1, 1, 1, 1, 3}, {1, 3, 2, 4, 1},
                                    {0, 2, 2, 2, 2}, {1, 4, 3, 2, 4}, {1, 2, 2, 0, 2}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  const long *s = samples[variant];
  sample_arg(c, FACTOR, (double)s[4]);
  return sample_input(c, INPUT, r, 4, s) &&
         sample_input(c, MASK, r, 4, SHAPE(s[0], s[1], s[2], CONVEX_AROUND * s[4] * s[4]));
}

DESCRIPTOR op_convex_upsample = {
    .name = "convex_upsample",
    .args = "input mask factor:int=8",
    .doc = "images N,H,W,C at `factor` times the size: means of 3 x 3 pixels weighted by the softmax of mask "
           "N,H,W,9 factor^2, as RAFT's",
    .shape = upsample_shape,
    .sample = upsample_sample};
const Kernel REALNAME(cpu_convex_upsample) = {.forward = upsample_run, .backward = upsample_back};
