/* batch_norm_se (ops/op_norm_se.c says how it is computed). With SiLU u is not kept between the passes of forward, but
 * found again from x: that spares writing and reading a map. */
#include "cuda/norm_kit.h"

#include "cuda/kernels/squeeze_excite.h"
#include "ops/squeeze_excite.h"

enum { W1 = NORM_IN, B1, W2, B2, RESIDUAL };
enum { KEPT_GATE = NORM_SAVED, KEPT_MEANS, KEPT_OUTPUT }; /* with ReLU: images' means of x; y's mask, or y */

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
  Rows n = j->rows;
  Tensor *kept = j->silu ? NULL : call_save_new(c, KEPT_MEANS, F32, 2, SHAPE(n.images, n.channels));
  float *means = kept ? tensor_write(kept) : NULL;
  if ((!j->silu && !means) || !cuda_norm_prepare(c, n, means, means ? j->gate.pooled : NULL)) return 0;
  find_lines(c, j);
  if (means) return 1;
  unsigned *counters = cuda_counters(c, rows_counters(&n));
  float *partial = counters ? call_scratch(c, (size_t)rows_sums(&n, 1) * sizeof *partial) : NULL;
  int ok =
      partial && se_pool_on(stream_of(c), n, c->dtype, j->x, &j->lines, partial, counters, j->gate.pooled);
  call_drop(c, partial);
  return ok;
}

static SeLayer first_layer(const SqueezeExcite *e) {
  return (SeLayer){.rows = e->images, .in = e->channels, .out = e->squeezed, .a = e->pooled, .w = e->w1};
}

static SeLayer second_layer(const SqueezeExcite *e) {
  return (SeLayer){.rows = e->images, .in = e->squeezed, .out = e->channels, .a = e->hidden, .w = e->w2};
}

/* gate: where it is written to, from b2; NULL: it is known. */
static int apply(Call *c, const Se *j, float *gate) {
  SeLayer second = second_layer(&j->gate);
  float *y = output(c, 0);
  unsigned char *mask = NULL;
  if (y && !j->silu && !norm_mask_keep(c, KEPT_OUTPUT, &j->rows, input(c, RESIDUAL), y, &mask)) return 0;
  if (gate) second.bias = input(c, B2);
  return y && se_apply_on(stream_of(c), j->rows, c->dtype, j->x, &j->lines, &second, gate, j->silu,
                          j->silu ? NULL : input(c, RESIDUAL), y, mask);
}

static int se_forward(Call *c) {
  Se j = se_of(c);
  Tensor *kept = call_save_new(c, KEPT_GATE, F32, 1, SHAPE(squeeze_excite_numbers(&j.gate)));
  float *memory = kept ? tensor_write(kept) : NULL;
  if (!memory) return 0;
  squeeze_excite_place(&j.gate, memory);
  c->recompute = j.silu; /* with ReLU backward keeps the output itself */
  SeLayer first = first_layer(&j.gate);
  first.bias = input(c, B1);
  return pool(c, &j) && se_hidden_on(stream_of(c), &first, j.silu, j.gate.before, j.gate.hidden) &&
         apply(c, &j, j.gate.gate) &&
         (j.silu || !c->training || c->saved[KEPT_OUTPUT] || call_save(c, KEPT_OUTPUT, c->out[0]));
}

static int se_recompute(Call *c) {
  Se j = se_of(c);
  squeeze_excite_place(&j.gate, (float *)saved(c, KEPT_GATE)); /* only read */
  find_lines(c, &j);
  return apply(c, &j, NULL);
}

/* ---- backward ---- */

/* Where the gradients of a layer's weight and bias go, as far as they are wanted. */
static int layer_gradients(Call *c, int weight, SeLayer *e) {
  return (!c->needs_grad[weight] || (e->dw = call_grad(c, weight, &e->dw_add))) &&
         (!c->needs_grad[weight + 1] || (e->db = call_grad(c, weight + 1, &e->db_add)));
}

/* Between the passes: from the images' sums what the second pass reads. */
static int between(Call *c, Se *j, const SeSums *sums, float *hidden, float *pooled, NormLines *lines) {
  CudaStream s = stream_of(c);
  SeLayer first = first_layer(&j->gate), second = second_layer(&j->gate);
  second.d = sums->d;
  first.d = hidden;
  return layer_gradients(c, W1, &first) && layer_gradients(c, W2, &second) && cuda_norm_weights(c, lines) &&
         se_hidden_back_on(s, &second, j->gate.before, j->silu, hidden) &&
         se_pool_back_on(s, &first, j->rows, sums->sums, &j->lines, pooled, lines);
}

static int se_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  Se j = se_of(c);
  CudaStream s = stream_of(c);
  long N = j.rows.images, C = j.rows.channels, n = N * C;
  squeeze_excite_place(&j.gate, (float *)saved(c, KEPT_GATE)); /* from here on only read */
  find_lines(c, &j);
  NormBack b = {.x = j.x, .dy = grad_out(c, 0), .act = ACT_RELU, .mean = j.lines.mean};
  b.scale = j.lines.scale, b.shift = j.lines.shift;
  norm_mask_find(c, KEPT_OUTPUT, &b);
  if (c->needs_grad[INPUT] && !(b.dx = call_grad(c, INPUT, &b.dx_add))) return 0;
  if (c->needs_grad[RESIDUAL] && !(b.dr = call_grad(c, RESIDUAL, &b.dr_add))) return 0;
  unsigned *counters = cuda_counters(c, rows_counters(&j.rows));
  float *partial =
      counters ? call_scratch(c, (size_t)rows_sums(&j.rows, j.silu ? SE_SUMS : 2) * sizeof *partial) : NULL;
  float *scratch =
      partial ? call_scratch(c, (size_t)((SE_SUMS + 2) * n + 2 * C + N * j.gate.squeezed) * sizeof *scratch)
              : NULL;
  if (!scratch) return 0;
  SeSums sums = {.weight = input(c, WEIGHT),
                 .bias = input(c, BIAS),
                 .inverse = j.inverse,
                 .gate = j.lines.gate,
                 .means = j.silu ? NULL : saved(c, KEPT_MEANS),
                 .sums = scratch,
                 .d = scratch + SE_SUMS * n};
  float *pooled = sums.d + n, *slope = pooled + n;
  NormLines lines = {.inverse = j.inverse,
                     .share = c->arg[TRAINING].n != 0 ? 1 / (double)(N * j.rows.rows) : 0,
                     .slope = slope,
                     .offset = slope + C};
  j.lines.pool = pooled;
  j.lines.slope = lines.slope;
  j.lines.offset = lines.offset;
  return se_sums_on(s, j.rows, c->dtype, j.silu, &b, partial, counters, &sums) &&
         between(c, &j, &sums, lines.offset + C, pooled, &lines) &&
         ((!b.dx && !b.dr) || se_back_on(s, j.rows, c->dtype, j.silu, &b, &j.lines));
}

const Kernel cuda_batch_norm_se = {.forward = se_forward, .backward = se_backward, .recompute = se_recompute};
