/* upconv2d: the 3 x 3 convolution that begins a decoder stage of the U-Net, of a map up-sampled x2 by
 * repeating pixels and a skip connection's channels behind it; upconv2d_act: the same for inference, with
 * what follows. A repeated pixel meets each tap of the kernel once, so float32 takes the nine products at
 * the map's own resolution and gathers them, a quarter of the multiplications; skip is convolved as it is.
 * Where the map has few channels, forward has less to save than gathering costs, and makes the larger map,
 * joined; so does float64, which is what the tests compare with. */
#include "ops/upconv_sizes.h"

#include "backend/conv.h"
#include "backend/conv_algo.h"
#include "backend/conv_taps.h"
#include "ops/bodies_silu.h"
#include "ops/bodies_upconv.h"
#include "ops/bodies_upsample.h"

enum { PIXELS = 64 };
enum { TAPS_LEAST = 96 }; /* channels of the map from which forward takes the nine products */

/* Of the convolution that is meant, not of the fewer products that float32 takes. */
static double upconv_flops(const Call *c) {
  UpShape s = up_shape(c);
  return 2.0 * (double)(s.n * 4 * s.h * s.w * s.o) * (double)(TAPS * (s.c + s.skip));
}

static int upconv_shape(Call *c) {
  const Tensor *x = c->in[INPUT], *w = c->in[WEIGHT], *skip = c->in[SKIP];
  for (int i = INPUT; i <= SKIP; i++)
    if (c->in[i] && (!(i == WEIGHT ? want_weight(c, i) : want_real(c, i)) || !call_want_rank(c, i, 4)))
      return 0;
  long channels = x->shape[3] + (skip ? skip->shape[3] : 0);
  if (skip && memcmp(skip->shape, SHAPE(x->shape[0], 2 * x->shape[1], 2 * x->shape[2]), 3 * sizeof(long)))
    return call_fail(c, "skip: expected twice the size of %s, found %s", tensor_text(x), tensor_text(skip));
  if (w->shape[1] != 3 || w->shape[2] != 3 || w->shape[3] != channels)
    return call_fail(c, "weight: expected O x 3 x 3 x %ld, found %s", channels, tensor_text(w));
  return call_out(c, 0, c->dtype, 4, SHAPE(x->shape[0], 2 * x->shape[1], 2 * x->shape[2], w->shape[0]));
}

static size_t bytes_of(long count) { return (size_t)count * sizeof(real); }

/* ---- the larger map, joined with skip ---- */
static real *joined(Call *c, const UpShape *s) {
  real *y = call_scratch(c, bytes_of(s->n * 4 * s->h * s->w * (s->c + s->skip)));
  const real *skip = s->skip ? input(c, SKIP) : input(c, INPUT);
  if (y && !HOT_EACH(upsample_forward, s->n * 4 * s->h * s->w, PIXELS, .x = input(c, INPUT), .skip = skip,
                     .y = y, .w = s->w, .cx = s->c, .cs = s->skip))
    return NULL;
  return y;
}

static int forward_joined(Call *c, const UpShape *s, const real *scale, const real *shift, Activation act) {
  ConvShape full = full_shape(s, s->c + s->skip);
  real *x = joined(c, s), *y = x ? output(c, 0) : NULL;
#ifdef REAL_IS_DOUBLE
  EpilogueF64 e = {scale, shift, NULL, act};
  int ok = y && conv_forward_f64(&full, x, input(c, WEIGHT), &e, y);
#else
  Epilogue e = {scale, shift, NULL, act};
  int ok = y && conv_forward(&full, x, c->in[WEIGHT], &e, y, !c->training);
#endif
  return ok;
}

#ifdef REAL_IS_DOUBLE
static int forward(Call *c, const real *scale, const real *shift, Activation act) {
  UpShape s = up_shape(c);
  return forward_joined(c, &s, scale, shift, act);
}

static int backward(Call *c, const UpShape *s, const real *dy) {
  ConvShape full = full_shape(s, s->c + s->skip);
  bool add;
  real *x = joined(c, s);
  if (!x) return 0;
  int ok = 1;
  if (c->needs_grad[WEIGHT]) {
    real *dw = call_grad(c, WEIGHT, &add);
    ok = dw && conv_backward_weight_f64(&full, x, dy, dw, add);
  }
  if (ok && (c->needs_grad[INPUT] || c->needs_grad[SKIP])) /* from here on x is its own gradient */
    ok = conv_backward_data_f64(&full, dy, input(c, WEIGHT), x, false);
  if (ok && c->needs_grad[INPUT]) {
    real *dx = call_grad(c, INPUT, &add);
    ok = dx && HOT_EACH(upsample_backward, s->n * s->h * s->w, PIXELS, .dy = x, .dx = dx, .add = add,
                        .w = s->w, .cx = s->c, .cs = s->skip);
  }
  if (ok && c->needs_grad[SKIP]) {
    real *ds = call_grad(c, SKIP, &add);
    ok = ds && HOT_EACH(skip_backward, s->n * 4 * s->h * s->w, PIXELS, .dy = x, .dskip = ds, .add = add,
                        .cx = s->c, .cs = s->skip);
  }
  return ok;
}
#else
/* ---- nine taps ---- */
static TapsShape taps_shape(const UpShape *s) {
  return (TapsShape){s->n * s->h * s->w, s->c, s->o, s->c + s->skip};
}

/* The nine products, or their gradients, with `o` zeros behind them. */
static real *taps_memory(Call *c, const UpShape *s) {
  long count = s->n * s->h * s->w * TAPS * s->o;
  real *p = call_scratch(c, bytes_of(count + s->o));
  if (p) memset(p + count, 0, bytes_of(s->o));
  return p;
}

static int forward_taps(Call *c, const UpShape *s, const real *scale, const real *shift, Activation act) {
  TapsShape t = taps_shape(s);
  ConvShape side = skip_shape(s);
  real *y = output(c, 0), *p = y ? taps_memory(c, s) : NULL;
  int ok = p && conv_taps(&t, input(c, INPUT), c->in[WEIGHT], p, !c->training);
  if (ok && s->skip) ok = conv_forward(&side, input(c, SKIP), c->in[WEIGHT], NULL, y, !c->training);
  ok = ok && HOT_EACH(taps_gather, s->n * 2 * s->h, 1, .p = p, .scale = scale, .shift = shift,
                      .zeros = p + t.pixels * TAPS * s->o, .y = y, .h = s->h, .w = s->w, .o = s->o,
                      .act = act, .add = s->skip > 0);
  return ok;
}

static int forward(Call *c, const real *scale, const real *shift, Activation act) {
  enum { NINE, JOINED };
  UpShape s = up_shape(c);
  unsigned fits = 1 << JOINED | (s.c > 0) << NINE;
  Algo algo = ALGO_PICK(fits, s.c < TAPS_LEAST ? JOINED : NINE, ALGO_UPCONV,
                        {s.n, s.h, s.w, s.c, s.skip, s.o, !c->training});
  int ok = (algo.method == JOINED ? forward_joined : forward_taps)(c, &s, scale, shift, act);
  algo_done(&algo);
  return ok;
}

/* Both parts of the weights' gradient to where they belong. Index i is an output channel. */
struct place_weights_args {
  const real *taps; /* 9, o, c */
  const real *skip; /* o, 9, cs */
  real *dw;         /* o, 9, c + cs */
  long o, c, cs;
  bool add;
};

BODY void place_weights_body(const struct place_weights_args *a, long i) {
  long all = a->c + a->cs;
  for (long t = 0; t < TAPS; t++) {
    real *restrict to = a->dw + (i * TAPS + t) * all;
    const real *restrict from = a->taps + (t * a->o + i) * a->c;
    for (long k = 0; k < a->c; k++) to[k] = (a->add ? to[k] : 0) + from[k];
    to += a->c;
    from = a->skip + (i * TAPS + t) * a->cs;
    for (long k = 0; k < a->cs; k++) to[k] = (a->add ? to[k] : 0) + from[k];
  }
}
KERNEL(place_weights)

static int backward_weight(Call *c, const UpShape *s, const TapsShape *t, const real *g, const real *dy) {
  bool add;
  ConvShape side = full_shape(s, s->skip);
  long taps = TAPS * s->o * s->c, skip = TAPS * s->o * s->skip;
  real *parts = call_scratch(c, bytes_of(taps + skip)), *dw = parts ? call_grad(c, WEIGHT, &add) : NULL;
  int ok = dw && conv_taps_backward_weight(t, input(c, INPUT), g, parts);
  if (ok && s->skip) ok = conv_backward_weight(&side, input(c, SKIP), dy, parts + taps, false);
  ok = ok && EACH(place_weights, s->o, 1, .taps = parts, .skip = parts + taps, .dw = dw, .o = s->o, .c = s->c,
                  .cs = s->skip, .add = add);
  return ok;
}

static int backward(Call *c, const UpShape *s, const real *dy) {
  TapsShape t = taps_shape(s);
  ConvShape side = skip_shape(s);
  bool add;
  int ok = 1;
  if (c->needs_grad[INPUT] || c->needs_grad[WEIGHT]) {
    real *g = taps_memory(c, s);
    ok = g && HOT_EACH(taps_collect, s->n * s->h, 1, .dy = dy, .zeros = g + t.pixels * TAPS * s->o, .g = g,
                       .h = s->h, .w = s->w, .o = s->o);
    if (ok && c->needs_grad[INPUT]) {
      real *dx = call_grad(c, INPUT, &add);
      ok = dx && conv_taps_backward_data(&t, g, c->in[WEIGHT], dx, add);
    }
    ok = ok && (!c->needs_grad[WEIGHT] || backward_weight(c, s, &t, g, dy));
    call_drop(c, g);
  }
  if (ok && c->needs_grad[SKIP]) {
    real *ds = call_grad(c, SKIP, &add);
    ok = ds && conv_backward_data(&side, dy, c->in[WEIGHT], ds, add);
  }
  return ok;
}
#endif

static int upconv_forward(Call *c) { return forward(c, NULL, NULL, ACT_NONE); }

static int upconv_backward(Call *c) {
  UpShape s = up_shape(c);
  const real *dy = grad_out(c, 0);
  return !dy || backward(c, &s, dy);
}

static int upconv_sample(Call *c, Random *r, int variant) {
  static const struct {
    long n, h, w, c, skip, o;
  } samples[] = {{1, 2, 3, 5, 4, 6},   {2, 3, 2, 8, 0, 4},     {1, 1, 1, 3, 2, 2},  {0, 2, 2, 4, 3, 2},
                 {1, 3, 4, 16, 8, 16}, {1, 4, 5, 100, 16, 32}, {2, 3, 2, 96, 0, 16}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  long n = samples[variant].n, h = samples[variant].h, w = samples[variant].w, skip = samples[variant].skip;
  return sample_input(c, INPUT, r, 4, SHAPE(n, h, w, samples[variant].c)) &&
         sample_input(c, WEIGHT, r, 4, SHAPE(samples[variant].o, 3, 3, samples[variant].c + skip)) &&
         (!skip || sample_input(c, SKIP, r, 4, SHAPE(n, 2 * h, 2 * w, skip)));
}

/* ---- upconv2d_act ---- */
static int upconv_act_shape(Call *c) {
  static const char *const names[] = {"scale", "shift"};
  if (!upconv_shape(c)) return 0;
  for (int i = SCALE; i <= SHIFT; i++)
    if (c->in[i] && (!want_real(c, i) || c->in[i]->rank != 1 || c->in[i]->size != c->in[WEIGHT]->shape[0]))
      return call_fail(c, "%s: expected %ld numbers, found %s", names[i - SCALE], c->in[WEIGHT]->shape[0],
                       tensor_text(c->in[i]));
  return 1;
}

static int upconv_act_forward(Call *c) {
  Activation act = (Activation)c->arg[0].list[0], fused = act == ACT_SILU ? ACT_NONE : act;
  return forward(c, input(c, SCALE), input(c, SHIFT), fused) &&
         (act == fused || HOT_EACH(silu_in_place, c->out[0]->size, SILU_CHUNK, .y = output(c, 0)));
}

static int upconv_act_sample(Call *c, Random *r, int variant) {
  int got = upconv_sample(c, r, variant);
  if (got != 1) return got;
  sample_choice(c, 0, variant % 4);
  for (int i = SCALE; i <= SHIFT; i++)
    if (variant & (1 << (i - SCALE)) && !sample_input(c, i, r, 1, SHAPE(c->in[WEIGHT]->shape[0]))) return 0;
  return 1;
}

DESCRIPTOR op_upconv2d = {
    .name = "upconv2d",
    .args = "input weight skip?",
    .doc = "3 x 3 convolution (O,3,3,C+S) of upsample2(input N,H,W,C) joined with skip N,2H,2W,S",
    .shape = upconv_shape,
    .sample = upconv_sample,
    .weights = 1 << WEIGHT,
    .flops = upconv_flops};
const Kernel REALNAME(cpu_upconv2d) = {.forward = upconv_forward, .backward = upconv_backward};
#ifndef REAL_IS_DOUBLE
const Kernel cpu_upconv2d_bf16 = {.forward = upconv_forward};
#endif
DESCRIPTOR op_upconv2d_act = {.name = "upconv2d_act",
                              .args = "input weight skip? scale? shift? act:none|relu|relu6|silu=none",
                              .doc = "act(scale * upconv2d(input, weight, skip) + shift) for inference",
                              .shape = upconv_act_shape,
                              .sample = upconv_act_sample,
                              .weights = 1 << WEIGHT,
                              .full = 1 << SCALE | 1 << SHIFT,
                              .flops = upconv_flops};
const Kernel REALNAME(cpu_upconv2d_act) = {.forward = upconv_act_forward};
#ifndef REAL_IS_DOUBLE
const Kernel cpu_upconv2d_act_bf16 = {.forward = upconv_act_forward};
#endif
