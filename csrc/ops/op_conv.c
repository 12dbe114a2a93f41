/* conv2d and its inference form conv2d_act, on the backend's convolutions. Images are channels-last, weights
 * are {O, kH, kW, I / groups}. */
#include "backend/conv.h"
#include "ops/bodies_silu.h"
#include "ops/conv_sizes.h"
#include "ops/conv_sparse.h"

static double conv_flops(const Call *c) {
  ConvShape s;
  return conv_sizes(c, &s)
             ? 2.0 * (double)(s.n * s.ho * s.wo * s.co) * (double)(s.kh * s.kw * (s.ci / s.groups))
             : 0;
}

static int conv_out(Call *c, const ConvShape *s) {
  return call_out(c, 0, c->dtype, 4, SHAPE(s->n, s->ho, s->wo, s->co));
}

static int run(const ConvShape *s, const Call *c, const real *scale, const real *shift, const real *residual,
               Activation act, real *y) {
  Activation fused = act == ACT_SILU ? ACT_NONE : act;
  if (!y) return 0;
#ifdef REAL_IS_DOUBLE
  EpilogueF64 e = {scale, shift, residual, fused};
  int ok = conv_forward_f64(s, input(c, 0), input(c, 1), &e, y);
#else
  Epilogue e = {scale, shift, residual, fused};
  int ok = conv_forward(s, input(c, 0), c->in[1], &e, y, !c->training);
#endif
  return ok && (act == fused || HOT_EACH(silu_in_place, c->out[0]->size, SILU_CHUNK, .y = y));
}

/* ---- conv2d ---- */
static int conv2d_shape(Call *c) {
  ConvShape s;
  return conv_sizes(c, &s) && per_channel(c, 2, "bias", s.co) && conv_out(c, &s);
}

static int conv2d_forward(Call *c) {
  ConvShape s;
  return conv_sizes(c, &s) && run(&s, c, NULL, input(c, 2), NULL, ACT_NONE, output(c, 0));
}

static int backward_data(const ConvShape *s, const Call *c, const SparsePixels *few, real *dx, bool add) {
  const real *dy = grad_out(c, 0);
  if (!dx) return 0;
  if (few) return REALNAME(sparse_backward_data)(s, few, dy, input(c, 1), dx, add);
#ifdef REAL_IS_DOUBLE
  return conv_backward_data_f64(s, dy, input(c, 1), dx, add);
#else
  return conv_backward_data(s, dy, c->in[1], dx, add);
#endif
}

static int backward_weight(const ConvShape *s, const Call *c, const SparsePixels *few, real *dw, bool add) {
  const real *dy = grad_out(c, 0);
  if (!dw) return 0;
  if (few) return REALNAME(sparse_backward_weight)(s, few, input(c, 0), dy, dw, add);
#ifdef REAL_IS_DOUBLE
  return conv_backward_weight_f64(s, input(c, 0), dy, dw, add);
#else
  return conv_backward_weight(s, input(c, 0), dy, dw, add);
#endif
}

static int conv2d_backward(Call *c) {
  ConvShape s;
  SparsePixels pixels;
  const real *dy = grad_out(c, 0);
  bool add, few;
  if (!dy) return 1;
  if (!conv_sizes(c, &s) || !REALNAME(sparse_find)(c, &s, dy, &pixels, &few)) return 0;
  int ok = 1;
  if (c->needs_grad[0]) {
    real *dx = call_grad(c, 0, &add);
    ok = backward_data(&s, c, few ? &pixels : NULL, dx, add);
  }
  if (ok && c->needs_grad[1]) {
    real *dw = call_grad(c, 1, &add);
    ok = backward_weight(&s, c, few ? &pixels : NULL, dw, add);
  }
  if (ok && c->needs_grad[2]) {
    real *db = call_grad(c, 2, &add);
    ok = db && REALNAME(sum_middle)(c, dy, 1, s.n * s.ho * s.wo, s.co, 1, db, add);
  }
  return ok;
}

static const struct {
  long n, h, w, ci, co, kh, kw;
  int groups, extras; /* extras: bits: which optional inputs are there */
  int paddings;       /* how many numbers stand for the padding; 0: same */
  long stride[2], padding[4], dilation[2];
} samples[] = {
    {2, 5, 6, 3, 4, 3, 3, 1, 1, 1, {1, 1}, {1}, {1, 1}},
    {1, 7, 5, 4, 6, 3, 3, 2, 0, 1, {2, 2}, {1}, {1, 1}},
    {1, 4, 4, 8, 8, 3, 3, 8, 1, 1, {1, 1}, {1}, {1, 1}},
    {2, 3, 5, 5, 7, 1, 1, 1, 0, 1, {1, 1}, {0}, {1, 1}},
    {1, 9, 8, 3, 4, 7, 7, 1, 0, 1, {2, 2}, {3}, {1, 1}},
    {1, 1, 1, 4, 2, 3, 3, 1, 1, 1, {1, 1}, {1}, {1, 1}},
    {0, 4, 4, 2, 3, 3, 3, 1, 1, 1, {1, 1}, {1}, {1, 1}},
    {1, 6, 5, 16, 32, 3, 3, 4, 1, 1, {1, 1}, {1}, {1, 1}},
    {1, 5, 5, 4, 4, 1, 1, 1, 1, 1, {2, 2}, {0}, {1, 1}},
    {1, 11, 13, 16, 16, 3, 3, 1, 1, 1, {1, 1}, {1}, {1, 1}},
    {1, 6, 7, 6, 6, 5, 3, 3, 0, 1, {3, 3}, {2}, {1, 1}},
    {1, 4, 7, 5, 6, 1, 5, 1, 1, 2, {1, 1}, {0, 2}, {1, 1}}, /* RAFT's */
    {1, 7, 4, 5, 6, 5, 1, 1, 0, 2, {1, 1}, {2, 0}, {1, 1}},
    {1, 6, 8, 3, 16, 3, 3, 1, 1, 0, {2, 2}, {0}, {1, 1}}, /* TFLite's SAME */
    {2, 6, 7, 16, 16, 3, 3, 16, 1, 0, {2, 2}, {0}, {1, 1}},
    {1, 8, 9, 4, 5, 3, 3, 1, 1, 0, {1, 1}, {0}, {2, 2}}, /* dilated */
    {1, 9, 11, 16, 16, 3, 3, 16, 0, 2, {2, 1}, {2, 3}, {2, 3}},
    {1, 9, 10, 4, 6, 3, 2, 2, 1, 4, {2, 3}, {0, 2, 3, 1}, {3, 2}},
    {1, 7, 6, 3, 4, 2, 4, 1, 0, 4, {3, 1}, {1, 0, 0, 3}, {1, 1}},
    {1, 10, 9, 5, 3, 3, 3, 1, 1, 4, {4, 6}, {3, 1, 2, 5}, {2, 4}},
};

static int conv_inputs(Call *c, Random *r, int variant) {
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  long n = samples[variant].n, h = samples[variant].h, w = samples[variant].w, ci = samples[variant].ci;
  const long *stride = samples[variant].stride, *dilation = samples[variant].dilation;
  sample_list(c, STRIDE, stride[0] == stride[1] ? 1 : 2, stride);
  if (samples[variant].paddings)
    sample_list(c, PADDING, samples[variant].paddings, samples[variant].padding);
  else
    sample_choice(c, PADDING, 0);
  sample_list(c, dilation_of(c), dilation[0] == dilation[1] ? 1 : 2, dilation);
  sample_arg(c, GROUPS, samples[variant].groups);
  return sample_input(c, 0, r, 4, SHAPE(n, h, w, ci)) &&
         sample_input(c, 1, r, 4,
                      SHAPE(samples[variant].co, samples[variant].kh, samples[variant].kw,
                            ci / samples[variant].groups));
}

static int conv2d_sample(Call *c, Random *r, int variant) {
  int got = conv_inputs(c, r, variant);
  if (got == 1 && samples[variant].extras) got = sample_input(c, 2, r, 1, SHAPE(samples[variant].co));
  return got;
}

/* ---- conv2d_act ---- */
static int conv2d_act_shape(Call *c) {
  ConvShape s;
  if (!conv_sizes(c, &s) || !per_channel(c, 2, "scale", s.co) || !per_channel(c, 3, "shift", s.co)) return 0;
  if (!conv_out(c, &s)) return 0;
  return !c->in[4] || tensor_same_shape(c->in[4], c->out[0]) ||
         call_fail(c, "residual: expected %s, found %s", tensor_text(c->out[0]), tensor_text(c->in[4]));
}

static int conv2d_act_forward(Call *c) {
  ConvShape s;
  return conv_sizes(c, &s) &&
         run(&s, c, input(c, 2), input(c, 3), input(c, 4), (Activation)c->arg[ACT].list[0], output(c, 0));
}

static int conv2d_act_sample(Call *c, Random *r, int variant) {
  int got = conv_inputs(c, r, variant);
  if (got != 1) return got;
  ConvShape s;
  sample_choice(c, ACT, variant % 4);
  if (variant & 1 && !sample_input(c, 2, r, 1, SHAPE(samples[variant].co))) return 0;
  if (variant & 2 && !sample_input(c, 3, r, 1, SHAPE(samples[variant].co))) return 0;
  return !(variant & 4) || (conv_sizes(c, &s) && sample_input(c, 4, r, 4, SHAPE(s.n, s.ho, s.wo, s.co)));
}

DESCRIPTOR op_conv2d = {.name = "conv2d",
                        .args = "input weight bias? stride:list={1} padding:same={0} groups:int=1 "
                                "dilation:list={1} statistics=false",
                        .doc =
                            "convolution of images N,H,W,C with weights O,kH,kW,C/groups; statistics: batch "
                            "norm of the result will follow, whose sums a GPU may take meanwhile",
                        .shape = conv2d_shape,
                        .sample = conv2d_sample,
                        .weights = 2,
                        .full = 1 << 2,
                        .shape_only = 4,
                        .flops = conv_flops};
const Kernel REALNAME(cpu_conv2d) = {.forward = conv2d_forward, .backward = conv2d_backward};
#ifndef REAL_IS_DOUBLE
const Kernel cpu_conv2d_bf16 = {.forward = conv2d_forward};
#endif
DESCRIPTOR op_conv2d_act = {
    .name = "conv2d_act",
    .form = CONV_FUSED,
    .args = "input weight scale? shift? residual? stride:list={1} padding:same={0} groups:int=1 "
            "act:none|relu|relu6|silu=none dilation:list={1}",
    .doc = "act(scale * conv2d(input, weight) + shift + residual) for inference",
    .shape = conv2d_act_shape,
    .sample = conv2d_act_sample,
    .weights = 2,
    .full = 1 << 2 | 1 << 3,
    .flops = conv_flops};
const Kernel REALNAME(cpu_conv2d_act) = {.forward = conv2d_act_forward};
#ifndef REAL_IS_DOUBLE
const Kernel cpu_conv2d_act_bf16 = {.forward = conv2d_act_forward};
#endif
