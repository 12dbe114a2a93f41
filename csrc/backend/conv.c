/* The public float32 convolutions: brings each to its common form (Corr, see conv_parts.h) and chooses the
 * method by shape alone. Forward and backward-data, in this order:
 *
 *   bf16       1 x 1 with bfloat16 weights, where that is fast         conv_bf16.c
 *   winograd   3 x 3, stride 1, one group, whole vectors of channels   isa_conv_winograd6.c, …4.c
 *   grouped    groups of few channels, depthwise among them            isa_conv_grouped.c
 *   direct     any shape                                               isa_conv_direct.c
 *
 * This is the rule; a table of choices (conv_algo.h) may know a faster one for a shape.
 *
 * Gradients of weights have the same three (isa_conv_weight*.c). A convolution with stride s seen from the
 * side of its gradient is s x s correlations with stride 1, one for each remainder of (row, column) by s:
 * that is how backward-data handles strides. Dilation leaves gaps in windows, there as in forward: the direct
 * and the grouped method know them. */
#include "backend/conv.h"

#include "backend/conv_bf16.h"
#include "backend/conv_cache.h"
#include "backend/conv_algo.h"
#include "backend/conv_parts.h"
#include "core/pool.h"

#include <string.h>

/* The methods in the order of the rule: the first that fits is the usual one. */
static int first_of(unsigned fits) {
  int m = 0;
  while (!(fits >> m & 1)) m++;
  return m;
}

static int compute(const Corr *c, Method m, const Tensor *weight, bool reuse, Algo *algo) {
  Packed *p = packed_weights(c, m, weight, reuse);
  if (reuse) algo_restart(algo); /* packed once */
  int ok = p && m.run(c, packed_data(p));
  packed_done(p);
  algo_done(algo);
  return ok;
}

int conv_compute(const Corr *c, const Tensor *weight, bool reuse) {
  Algo algo = {.entry = -1};
  if (weight->dtype == BF16 && conv_bf16().fits(c) && bf16_is_fast())
    return compute(c, conv_bf16(), weight, reuse, &algo);
  const Method methods[] = {ISA_PICK(conv_winograd6)(), ISA_PICK(conv_winograd4)(), ISA_PICK(conv_grouped)(),
                            ISA_PICK(conv_direct)()};
  unsigned fits = 0;
  for (int m = 0; m < 4; m++) fits |= (unsigned)methods[m].fits(c) << m;
  algo.method = first_of(fits);
  if (c->step_h == c->step_w && c->gap_h == 1 && c->gap_w == 1) /* what the table's sizes can tell */
    algo = ALGO_PICK(fits, algo.method, ALGO_CORRELATION,
                     {c->n, c->h, c->w, c->c, c->groups, c->kh, c->kw, c->step_h, c->gh, c->gw, c->o, reuse});
  return compute(c, methods[algo.method], weight, reuse, &algo);
}

static long weight_channels(const ConvShape *s) { return s->w_channels ? s->w_channels : s->ci / s->groups; }

/* Kernels that are for the plain path. */
static bool is_huge(const ConvShape *s) {
  bool dilated = s->dilation_h > 1 || s->dilation_w > 1;
  long runs = s->dilation_w > 1 ? s->kh * s->kw : s->kh;
  return runs > CONV_KERNEL_MAX ||
         (dilated && (conv_reach_h(s) > CONV_REACH_MAX || conv_reach_w(s) > CONV_REACH_MAX));
}

int conv_forward(const ConvShape *s, const float *x, const Tensor *weight, const Epilogue *e, float *y,
                 bool reuse) {
  long c = s->ci / s->groups, o = s->co / s->groups, wc = weight_channels(s);
  if (s->n == 0) return 1;
  if (is_huge(s) || !conv_reads(s)) return conv_reference_forward(s, x, tensor_data(weight), e, y);
  Corr corr = {
      .n = s->n,
      .groups = s->groups,
      .h = s->h,
      .w = s->w,
      .c = c,
      .x = x,
      .pixel = s->ci,
      .x_group = c,
      .kh = s->kh,
      .kw = s->kw,
      .step_h = s->stride_h,
      .step_w = s->stride_w,
      .gap_h = s->dilation_h,
      .gap_w = s->dilation_w,
      .top = -s->top,
      .left = -s->left,
      .gh = s->ho,
      .gw = s->wo,
      .o = o,
      .y = y,
      .y_image = s->ho * s->wo * s->co,
      .y_row = s->wo * s->co,
      .y_col = s->co,
      .kept = reuse,
      .weight = (const float *)tensor_data(weight) + s->w_first,
      .w_row = s->kw * wc,
      .w_col = wc,
      .w_in = 1,
      .w_out = s->kh * s->kw * wc,
      .w_group = o * s->kh * s->kw * wc,
  };
  if (e) corr.scale = e->scale, corr.shift = e->shift, corr.residual = e->residual, corr.act = e->act;
  return conv_compute(&corr, weight, reuse);
}

/* One axis of one of the interleaved grids: pixels phase, phase + stride, … */
typedef struct Axis {
  long grid;  /* how many such pixels */
  long taps;  /* entries of the kernel that reach them: last, last - each, … */
  long last;  /* kernel index of window index 0 */
  long each;  /* from there to the next: stride, or a part of it where the dilation shares factors with it */
  long start; /* index into dy of window index 0 at grid position 0 */
  long gap;   /* and from there to that of the next */
} Axis;

static long common_divisor(long a, long b) { return b ? common_divisor(b, a % b) : a; }

static Axis axis(long size, long kernel, long stride, long dilation, long pad, long phase) {
  Axis a = {0};
  long common = common_divisor(stride, dilation), first = 0;
  a.grid = (size - phase + stride - 1) / stride;
  a.each = stride / common;
  a.gap = dilation / common;
  /* pixel p = q stride - pad + k dilation, so k dilation = phase + pad (mod stride) */
  while (first < a.each && (phase + pad - first * dilation) % stride) first++;
  a.taps = first < a.each && first < kernel ? (kernel - first + a.each - 1) / a.each : 0;
  a.last = first + a.each * (a.taps - 1);
  if (a.taps) a.start = (phase + pad - a.last * dilation) / stride;
  return a;
}

static Axis axis_h(const ConvShape *s, long phase) {
  return axis(s->h, s->kh, s->stride_h, s->dilation_h, s->top, phase);
}

static Axis axis_w(const ConvShape *s, long phase) {
  return axis(s->w, s->kw, s->stride_w, s->dilation_w, s->left, phase);
}

/* Whether there are pixels that no window touches. */
static bool has_gaps(const ConvShape *s) {
  bool gaps = false;
  for (long y = 0; y < s->stride_h && y < s->h; y++) gaps = gaps || !axis_h(s, y).taps;
  for (long x = 0; x < s->stride_w && x < s->w; x++) gaps = gaps || !axis_w(s, x).taps;
  return gaps;
}

int conv_backward_data(const ConvShape *s, const float *dy, const Tensor *weight, float *dx, bool add) {
  long c = s->ci / s->groups, o = s->co / s->groups, wc = weight_channels(s), row = s->kw * wc,
       window = s->kh * row;
  if (s->n == 0) return 1;
  if (is_huge(s)) return conv_reference_backward_data(s, dy, tensor_data(weight), dx, add);
  if (!add && has_gaps(s)) memset(dx, 0, (size_t)(s->n * s->h * s->w * s->ci) * sizeof *dx);
  for (long py = 0; py < s->stride_h && py < s->h; py++) {
    for (long px = 0; px < s->stride_w && px < s->w; px++) {
      Axis v = axis_h(s, py), u = axis_w(s, px);
      if (v.taps == 0 || u.taps == 0) continue;
      Corr corr = {
          .n = s->n,
          .groups = s->groups,
          .h = s->ho,
          .w = s->wo,
          .c = o,
          .x = dy,
          .pixel = s->co,
          .x_group = o,
          .kh = v.taps,
          .kw = u.taps,
          .step_h = 1,
          .step_w = 1,
          .gap_h = v.taps > 1 ? v.gap : 1,
          .gap_w = u.taps > 1 ? u.gap : 1,
          .top = v.start,
          .left = u.start,
          .gh = v.grid,
          .gw = u.grid,
          .o = c,
          .y = dx + (py * s->w + px) * s->ci,
          .y_image = s->h * s->w * s->ci,
          .y_row = s->stride_h * s->w * s->ci,
          .y_col = s->stride_w * s->ci,
          .weight = (const float *)tensor_data(weight) + s->w_first + v.last * row + u.last * wc,
          .w_row = -v.each * row,
          .w_col = -u.each * wc,
          .w_in = window,
          .w_out = 1,
          .w_group = o * window,
          .add = add,
      };
      if (!conv_compute(&corr, weight, false)) return 0;
    }
  }
  return 1;
}

/* Whether the table's sizes can tell this shape from all others. */
static bool is_even(const ConvShape *s) {
  return s->stride_h == s->stride_w && s->dilation_h == 1 && s->dilation_w == 1 && s->top == s->left &&
         s->ho == (s->h + 2 * s->top - s->kh) / s->stride_h + 1 &&
         s->wo == (s->w + 2 * s->left - s->kw) / s->stride_w + 1;
}

int conv_backward_weight(const ConvShape *s, const float *x, const float *dy, float *dw, bool add) {
  if (!conv_reads(s)) {
    if (!add) memset(dw, 0, (size_t)(s->co * s->kh * s->kw * (s->ci / s->groups)) * sizeof *dw);
    return 1;
  }
  if (is_huge(s)) return conv_reference_backward_weight(s, x, dy, dw, add);
  const WeightMethod methods[] = {ISA_PICK(weight_winograd6)(), ISA_PICK(weight_winograd4)(),
                                  ISA_PICK(weight_spread)(), ISA_PICK(weight_direct)()};
  unsigned fits = 0;
  for (int m = 0; m < 4; m++) fits |= (unsigned)methods[m].fits(s) << m;
  Algo algo = {.method = first_of(fits), .entry = -1};
  if (is_even(s))
    algo = ALGO_PICK(fits, algo.method, ALGO_WEIGHT_GRADIENT,
                     {s->n, s->h, s->w, s->ci, s->groups, s->kh, s->kw, s->stride_h, s->top, s->co});
  int ok = methods[algo.method].run(s, x, dy, dw, add);
  algo_done(&algo);
  return ok;
}

enum { SUM_PIECE = 4096 };

typedef struct Sum {
  long count, parts;
  const float *partial;
  float *dw;
  bool add;
} Sum;

static int sum_chunk(void *arg, long chunk) {
  const Sum *s = arg;
  long begin = chunk * SUM_PIECE, end = least(s->count, begin + SUM_PIECE);
  if (!s->add) memset(s->dw + begin, 0, (size_t)(end - begin) * sizeof *s->dw);
  for (long p = 0; p < s->parts; p++)
    for (long i = begin; i < end; i++) s->dw[i] += s->partial[p * s->count + i];
  return 1;
}

int weight_sum(long count, long parts, const float *partial, float *dw, bool add) {
  Sum s = {count, parts, partial, dw, add};
  return parallel(ratio_up(count, SUM_PIECE), sum_chunk, &s);
}
