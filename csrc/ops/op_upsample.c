/* upsample2: nearest x2 up-sampling. upsample2_cat: the same with a skip connection's channels behind, in one
 * pass, as every decoder stage of the U-Net begins. */
#include "ops/op_kit.h"

#include "ops/bodies_upsample.h"

enum { PIXELS = 256 };

static long skip_channels(const Call *c) { return c->nin > 1 && c->in[1] ? c->in[1]->shape[3] : 0; }

static int upsample_shape(Call *c) {
  const Tensor *x = c->in[0], *skip = c->nin > 1 ? c->in[1] : NULL;
  if (!want_real(c, 0) || !call_want_rank(c, 0, 4)) return 0;
  long shape[] = {x->shape[0], 2 * x->shape[1], 2 * x->shape[2], x->shape[3]};
  if (skip) {
    if (!want_real(c, 1) || !call_want_rank(c, 1, 4)) return 0;
    if (memcmp(shape, skip->shape, 3 * sizeof *shape))
      return call_fail(c, "skip: expected twice the size of %s, found %s", tensor_text(x), tensor_text(skip));
    shape[3] += skip->shape[3];
  }
  return call_out(c, 0, c->dtype, 4, shape);
}

static int upsample_run(Call *c) {
  const long *x = c->in[0]->shape;
  long cs = skip_channels(c);
  real *y = output(c, 0);
  return y && HOT_EACH(upsample_forward, x[0] * x[1] * x[2] * 4, PIXELS, .x = input(c, 0),
                       .skip = cs ? input(c, 1) : input(c, 0), .y = y, .w = x[2], .cx = x[3], .cs = cs);
}

static int upsample_back(Call *c) {
  const long *x = c->in[0]->shape;
  const real *dy = grad_out(c, 0);
  long cs = skip_channels(c), pixels = x[0] * x[1] * x[2];
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[0]) {
    real *dx = call_grad(c, 0, &add);
    if (!dx || !HOT_EACH(upsample_backward, pixels, PIXELS, .dy = dy, .dx = dx, .add = add, .w = x[2],
                         .cx = x[3], .cs = cs))
      return 0;
  }
  if (c->nin < 2 || !c->needs_grad[1]) return 1;
  real *dskip = call_grad(c, 1, &add);
  return dskip && HOT_EACH(skip_backward, pixels * 4, PIXELS, .dy = dy, .dskip = dskip, .add = add,
                           .cx = x[3], .cs = cs);
}

static const long samples[][4] = {{2, 2, 3, 5}, {1, 1, 1, 1}, {1, 3, 2, 16}, {0, 2, 2, 3}, {1, 4, 5, 8}};

static int upsample2_sample(Call *c, Random *r, int variant) {
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  return sample_input(c, 0, r, 4, samples[variant]);
}

static int upsample2_cat_sample(Call *c, Random *r, int variant) {
  int got = upsample2_sample(c, r, variant);
  const long *s = got == 1 ? samples[variant] : NULL;
  if (got != 1 || variant == 2) return got;
  return sample_input(c, 1, r, 4, SHAPE(s[0], 2 * s[1], 2 * s[2], 3 + variant));
}

DESCRIPTOR op_upsample2 = {.name = "upsample2",
                           .args = "input",
                           .doc = "images N,H,W,C at twice the size, every pixel repeated",
                           .shape = upsample_shape,
                           .sample = upsample2_sample,
                           .shape_only = 1};
const Kernel REALNAME(cpu_upsample2) = {.forward = upsample_run, .backward = upsample_back};
DESCRIPTOR op_upsample2_cat = {.name = "upsample2_cat",
                               .args = "input skip?",
                               .doc = "upsample2(input) and skip, N,2H,2W,C', joined along the channels",
                               .shape = upsample_shape,
                               .sample = upsample2_cat_sample,
                               .shape_only = 3};
const Kernel REALNAME(cpu_upsample2_cat) = {.forward = upsample_run, .backward = upsample_back};
