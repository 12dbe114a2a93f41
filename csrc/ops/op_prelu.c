/* prelu: x above 0, weight x elsewhere (He et al., ICCV 2015), the weight one
 * number or one per channel. */
#include "ops/op_kit.h"

#include "ops/bodies_prelu.h"

enum { INPUT, WEIGHT, ROWS_NUMBERS = 1 << 14 };

/* Channels that share nothing: 1 where one weight is for all. */
static long channels_of(const Call *c) { return c->in[WEIGHT]->size; }
static long rows_of(const Call *c) { return channels_of(c) ? c->in[INPUT]->size / channels_of(c) : 0; }
static long grain(const Call *c) { return ROWS_NUMBERS / (channels_of(c) + 1) + 1; }

static int prelu_shape(Call *c) {
  const Tensor *x = c->in[INPUT], *w = c->in[WEIGHT];
  if (!want_real(c, INPUT) || !want_real(c, WEIGHT)) return 0;
  if (w->rank > 1 || (w->size != 1 && (!x->rank || w->size != x->shape[x->rank - 1])))
    return call_fail(c, "weight: expected 1 number or one for each channel of %s, found %s", tensor_text(x),
                     tensor_text(w));
  return call_out(c, 0, c->dtype, x->rank, x->shape);
}

static int prelu_run(Call *c) {
  real *y = output(c, 0);
  return y && HOT_EACH(prelu_forward, rows_of(c), grain(c), .x = input(c, INPUT), .weight = input(c, WEIGHT),
                       .y = y, .c = channels_of(c));
}

static int prelu_back(Call *c) {
  const real *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[INPUT]) {
    real *dx = call_grad(c, INPUT, &add);
    if (!dx || !HOT_EACH(prelu_backward, rows_of(c), grain(c), .x = input(c, INPUT), .dy = dy,
                         .weight = input(c, WEIGHT), .dx = dx, .c = channels_of(c), .add = add))
      return 0;
  }
  if (!c->needs_grad[WEIGHT]) return 1;
  real *each = call_scratch(c, tensor_bytes(c->in[INPUT])), *dw = each ? call_grad(c, WEIGHT, &add) : NULL;
  return dw &&
         HOT_EACH(prelu_slope, rows_of(c), grain(c), .x = input(c, INPUT), .dy = dy, .to = each,
                  .c = channels_of(c)) &&
         REALNAME(sum_middle)(c, each, 1, rows_of(c), channels_of(c), 1, dw, add);
}

static int prelu_sample(Call *c, Random *r, int variant) {
  static const long samples[][5] = {
      {2, 3, 4, 5, 5}, {2, 3, 4, 5, 1}, {1, 1, 1, 1, 1}, {0, 3, 2, 4, 4}, {1, 9, 7, 17, 17}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  return REALNAME(sample_smooth)(c, INPUT, r, 4, samples[variant], 1) &&
         sample_input(c, WEIGHT, r, 1, samples[variant] + 4);
}

DESCRIPTOR op_prelu = {.name = "prelu",
                       .args = "input weight",
                       .doc = "input above 0, weight input elsewhere; weight: "
                              "1 number or one per channel",
                       .shape = prelu_shape,
                       .sample = prelu_sample,
                       .full = 1 << WEIGHT};
const Kernel REALNAME(cpu_prelu) = {.forward = prelu_run, .backward = prelu_back};
