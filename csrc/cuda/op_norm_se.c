/* batch_norm_se (ops/op_norm_se.c says how it is computed). With SiLU u is not kept between the passes of forward, but
 * found again from x: that spares writing and reading a map. */
#include "cuda/norm_kit.h"

#include "cuda/kernels/squeeze_excite.h"
#include "ops/squeeze_excite.h"

enum { W1 = NORM_IN, B1, W2, B2, RESIDUAL };
enum { KEPT_GATE = NORM_SAVED, KEPT_MEANS, KEPT_OUTPUT }; /* with ReLU: images' means of x; y */

typedef struct Se {
  Rows rows;
  SqueezeExcite gate;
  SeLines lines;
  const float *x, *inverse;
  bool silu;
} Se;

static Se se_of(const Call *c) {
  const Tensor *x = c->in[INPUT];
  Se j = {.rows = norm_rows_of(c, x->shape[0]), .x = input(c, INPUT), .silu = c->arg[ACT].list[0] != 0};
  j.gate = (SqueezeExcite){.images = x->shape[0],
                           .channels = x->shape[3],
                           .squeezed = c->in[B1]->size,
                           .silu = j.silu,
                           .w1 = input(c, W1),
                           .w2 = input(c, W2)};
  return j;
}

/* What forward has kept. */
static void find_lines(const Call *c, Se *j) {
  long C = j->rows.channels;
  j->lines.mean = saved(c, KEPT_STATISTICS);
  j->inverse = j->lines.mean + C;
  j->lines.scale = saved(c, KEPT_LINE);
  j->lines.shift = j->lines.scale + C;
  j->lines.gate = j->gate.gate;
}

/* ---- forward ---- */

/* Batch norm's statistics, and the mean of u over each image's pixels. */
static int pool(Call *c, Se *j) {
  CudaStream s = stream_of(c);
  Rows n = j->rows;
  Tensor *kept = j->silu ? NULL : call_save_new(c, KEPT_MEANS, F32, 2, SHAPE(n.images, n.channels));
  float *means = kept ? tensor_write(kept) : NULL;
  float *partial = call_scratch(c, (size_t)rows_sums(&n, j->silu ? 1 : 2) * sizeof *partial);
  if (!partial || (!means && !j->silu) || (means && !norm_moments_on(s, n, c->dtype, j->x, partial)) ||
      !cuda_norm_prepare(c, n, means ? partial : NULL))
    return 0;
  find_lines(c, j);
  int ok = (means || se_pool_on(s, n, c->dtype, j->x, &j->lines, partial)) &&
           se_pooled_on(s, n, c->dtype, j->x, partial, &j->lines, input(c, WEIGHT), input(c, BIAS),
                        j->inverse, means, j->gate.pooled);
  call_drop(c, partial);
  return ok;
}

static int open_gate(Call *c, const SqueezeExcite *e) {
  CudaStream s = stream_of(c);
  return se_layer_on(s, e->images, e->channels, e->squeezed, e->pooled, e->w1, input(c, B1), e->silu,
                     e->before, e->hidden) &&
         se_layer_on(s, e->images, e->squeezed, e->channels, e->hidden, e->w2, input(c, B2), false, NULL,
                     e->gate);
}

static int apply(Call *c, const Se *j) {
  CudaStream s = stream_of(c);
  long C = j->rows.channels, n = j->rows.images * C;
  float *y = output(c, 0);
  if (!y || j->silu) return y && se_apply_on(s, j->rows, c->dtype, j->x, &j->lines, y);
  float *line = call_scratch(c, (size_t)(2 * n) * sizeof *line);
  return line && se_gated_on(s, j->rows, &j->lines, line, line + n) &&
         norm_apply_on(s, j->rows, c->dtype, j->x, line, line + n, C, input(c, RESIDUAL), ACT_RELU, y);
}

static int se_forward(Call *c) {
  Se j = se_of(c);
  Tensor *kept = call_save_new(c, KEPT_GATE, F32, 1, SHAPE(squeeze_excite_numbers(&j.gate)));
  float *memory = kept ? tensor_write(kept) : NULL;
  if (!memory) return 0;
  squeeze_excite_place(&j.gate, memory);
  c->recompute = j.silu; /* with ReLU backward keeps the output itself */
  return pool(c, &j) && open_gate(c, &j.gate) && apply(c, &j) &&
         (j.silu || !c->training || call_save(c, KEPT_OUTPUT, c->out[0]));
}

static int se_recompute(Call *c) {
  Se j = se_of(c);
  squeeze_excite_place(&j.gate, (float *)saved(c, KEPT_GATE)); /* only read */
  find_lines(c, &j);
  return apply(c, &j);
}

/* ---- backward ---- */

/* The gradients of weight {out, in} and bias {out} of a layer, from its input and its output's gradient. */
static int layer_weights(Call *c, int weight, long rows, long in, long out, const float *d, const float *a) {
  bool add;
  float *g = c->needs_grad[weight] ? call_grad(c, weight, &add) : NULL;
  if (c->needs_grad[weight] && !(g && se_layer_weights_on(stream_of(c), rows, in, out, d, a, g, add)))
    return 0;
  g = c->needs_grad[weight + 1] ? call_grad(c, weight + 1, &add) : NULL;
  return !c->needs_grad[weight + 1] || (g && cuda_sum_middle(c, F32, d, 1, rows, out, 1, F32, g, add));
}

/* From the gradient d of the gate's argument that of u which comes through the mean, in pool, and those of weights. */
static int gate_back(Call *c, const Se *j, const float *d, float *h, float *pool) {
  const SqueezeExcite *e = &j->gate;
  CudaStream s = stream_of(c);
  long N = e->images, C = e->channels, S = e->squeezed;
  return layer_weights(c, W2, N, S, C, d, e->hidden) &&
         se_layer_back_on(s, N, S, C, d, e->w2, e->before, e->silu, 1, h) &&
         layer_weights(c, W1, N, C, S, h, e->pooled) &&
         se_layer_back_on(s, N, C, S, h, e->w1, NULL, false, 1 / (float)j->rows.rows, pool);
}

typedef struct Gradients {
  const float *dy, *means;
  float *dx, *dr;
  bool dx_add, dr_add;
  float *sums, *d, *hidden, *pool, *total, *slope, *offset, *lines; /* scratch */
} Gradients;

static int sums(Call *c, Se *j, const Gradients *g, float *partial) {
  CudaStream s = stream_of(c);
  NormBack b = {.x = j->x, .dy = g->dy, .act = ACT_RELU, .mean = j->lines.mean, .scale = j->lines.scale};
  b.shift = j->lines.shift;
  if (!j->silu) b.given = saved(c, KEPT_OUTPUT);
  return (j->silu ? se_sums_on(s, j->rows, c->dtype, j->x, g->dy, &j->lines, partial)
                  : norm_sums_on(s, j->rows, &b, c->dtype, 0, partial)) &&
         se_images_on(s, j->rows, partial, &j->lines, input(c, WEIGHT), input(c, BIAS), j->inverse, g->means,
                      g->sums, g->d);
}

static int maps(Call *c, const Se *j, const Gradients *g) {
  CudaStream s = stream_of(c);
  long C = j->rows.channels, n = j->rows.images * C;
  if (!g->dx && !g->dr) return 1;
  if (j->silu) return se_back_on(s, j->rows, c->dtype, j->x, g->dy, &j->lines, g->dx, g->dx_add);
  NormBack b = {.x = j->x,
                .dy = g->dy,
                .given = saved(c, KEPT_OUTPUT),
                .act = ACT_RELU,
                .mean = g->lines,
                .scale = g->lines + n,
                .shift = g->lines + n, /* not read where the output is given */
                .slope = g->lines + 2 * n,
                .offset = g->lines + 3 * n,
                .dx = g->dx,
                .dr = g->dr,
                .dx_add = g->dx_add,
                .dr_add = g->dr_add};
  return se_spread_on(s, j->rows, &j->lines, g->lines) && norm_back_on(s, j->rows, &b, c->dtype, C);
}

static int se_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  Se j = se_of(c);
  Gradients g = {.dy = grad_out(c, 0)};
  long N = j.rows.images, C = j.rows.channels, n = N * C;
  squeeze_excite_place(&j.gate, (float *)saved(c, KEPT_GATE)); /* from here on only read */
  find_lines(c, &j);
  if (!j.silu) g.means = saved(c, KEPT_MEANS);
  if (c->needs_grad[INPUT] && !(g.dx = call_grad(c, INPUT, &g.dx_add))) return 0;
  if (c->needs_grad[RESIDUAL] && !(g.dr = call_grad(c, RESIDUAL, &g.dr_add))) return 0;
  size_t numbers = (size_t)((SE_SUMS + 6) * n + N * j.gate.squeezed + 4 * C);
  float *partial = call_scratch(c, (size_t)rows_sums(&j.rows, j.silu ? SE_SUMS : 2) * sizeof *partial);
  g.sums = partial ? call_scratch(c, numbers * sizeof(float)) : NULL;
  if (!g.sums) return 0;
  g.d = g.sums + SE_SUMS * n;
  g.pool = g.d + n;
  g.lines = g.pool + n;
  g.total = g.lines + 4 * n;
  g.slope = g.total + 2 * C;
  g.offset = g.slope + C;
  g.hidden = g.offset + C;
  j.lines.pool = g.pool;
  j.lines.slope = g.slope;
  j.lines.offset = g.offset;
  double share = c->arg[TRAINING].n != 0 ? 1 / (double)(N * j.rows.rows) : 0;
  return sums(c, &j, &g, partial) && gate_back(c, &j, g.d, g.hidden, g.pool) &&
         se_lines_on(stream_of(c), j.rows, g.sums, &j.lines, j.inverse, share, g.total, g.slope, g.offset) &&
         cuda_norm_weights(c, 1, C, g.total, j.inverse) && maps(c, &j, &g);
}

const Kernel cuda_batch_norm_se = {.forward = se_forward, .backward = se_backward, .recompute = se_recompute};
