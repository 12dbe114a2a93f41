/* batch_norm (ops/op_norm.c) and instance_norm (ops/op_instance_norm.c): the same passes, with statistics of all rows,
 * or of each image's. */
#include "cuda/norm_kit.h"
#include "cuda/statistics.h"

enum { RESIDUAL = NORM_IN, KEPT_GIVEN = NORM_SAVED };
enum { OWN_EPS, OWN_ACT }; /* instance_norm's parameters */

/* One pass over x and what it comes to. */
static int moments(Call *c, Rows n, bool joint, const void *x, const NormStatistics *a) {
  unsigned *counters = cuda_counters(c, rows_counters(&n));
  float *partial = counters ? call_scratch(c, (size_t)rows_sums(&n, 2) * sizeof *partial) : NULL;
  int ok = partial && norm_moments_on(stream_of(c), n, joint, c->dtype, x, partial, counters, a);
  call_drop(c, partial);
  return ok;
}

int cuda_sums_look(Call *c, long rows, long channels, const void *x) {
  Rows n = rows_cut(1, rows, channels);
  if (rows <= NORM_FEW) return 1;
  float *line = call_scratch(c, (size_t)(4 * channels) * sizeof *line);
  NormStatistics a = {.eps = 1, .mean = line};
  if (!line) return 0;
  a.inverse = a.mean + channels;
  a.scale = a.inverse + channels;
  a.shift = a.scale + channels;
  int ok = moments(c, n, true, x, &a);
  call_drop(c, line);
  return ok;
}

/* What there is for batch norm. 0 with a message. */
static int batch_statistics(Call *c, long channels, NormStatistics *a) {
  bool training = c->arg[TRAINING].n != 0;
  ChannelSums known = training ? cuda_sums_of(c->in[INPUT]) : (ChannelSums){NULL, NULL};
  *a = (NormStatistics){.sums = known.sums,
                        .squares = known.squares,
                        .weight = input(c, WEIGHT),
                        .bias = input(c, BIAS),
                        .momentum = c->arg[MOMENTUM].n,
                        .eps = c->arg[EPS].n,
                        .running = !training,
                        .running_mean = (float *)input(c, RUNNING_MEAN), /* written to in training alone */
                        .running_var = (float *)input(c, RUNNING_VAR)};
  return (!training || ((a->running_mean = tensor_write(c->in[RUNNING_MEAN])) &&
                        (a->running_var = tensor_write(c->in[RUNNING_VAR])))) &&
         norm_keep(c, 1, channels, a);
}

int cuda_norm_prepare(Call *c, Rows n, float *means, float *pooled) {
  NormStatistics a;
  if (!batch_statistics(c, n.channels, &a)) return 0;
  a.means = means;
  a.pooled = pooled;
  if (a.running && !pooled) return norm_running_on(stream_of(c), n.channels, &a);
  if (pooled) a.sums = NULL; /* images' means take the pass in any case */
  return moments(c, n, true, input(c, INPUT), &a);
}

int cuda_norm_weights(Call *c, NormLines *to) {
  return (!c->needs_grad[WEIGHT] || (to->dweight = call_grad(c, WEIGHT, &to->weight_add))) &&
         (!c->needs_grad[BIAS] || (to->dbias = call_grad(c, BIAS, &to->bias_add)));
}

/* ---- what both share ---- */

typedef struct Norm {
  Rows rows; /* lines are of n.images images */
  Activation act;
  double share; /* 1 / rows of a line's statistics; 0: running ones */
} Norm;

static int apply(Call *c, const Norm *j, const float *residual, float *y, unsigned char *mask) {
  const float *line = saved(c, KEPT_LINE);
  return y &&
         norm_apply_on(stream_of(c), j->rows, c->dtype, input(c, INPUT), line,
                       line + j->rows.images * j->rows.channels, j->rows.channels, residual, j->act, y, mask);
}

/* Statistics of every image, and the output. */
static int few(Call *c, const Norm *j, const NormStatistics *a, const float *residual, float *y,
               unsigned char *mask) {
  return y && norm_few_on(stream_of(c), j->rows, c->dtype, input(c, INPUT), a, residual, j->act, y, mask);
}

/* The gradients of input, weight and bias, and b's dr. */
static int backward(Call *c, const Norm *j, NormBack *b) {
  long n = j->rows.images * j->rows.channels;
  CudaStream s = stream_of(c);
  unsigned *counters = cuda_counters(c, rows_counters(&j->rows));
  NormLines lines = {.share = j->share};
  if (!counters || (c->needs_grad[INPUT] && !(b->dx = call_grad(c, INPUT, &b->dx_add)))) return 0;
  lines.slope = call_scratch(c, (size_t)(2 * n + rows_sums(&j->rows, 2)) * sizeof(float));
  if (!lines.slope || !cuda_norm_weights(c, &lines)) return 0;
  lines.offset = lines.slope + n;
  b->x = input(c, INPUT);
  b->dy = grad_out(c, 0);
  b->act = j->act;
  b->mean = saved(c, KEPT_STATISTICS);
  b->scale = saved(c, KEPT_LINE);
  b->shift = b->scale + n;
  b->slope = lines.slope;
  b->offset = lines.offset;
  lines.inverse = b->mean + n;
  if (j->rows.rows <= NORM_FEW && (j->rows.images == 1 || !(lines.dweight || lines.dbias)))
    return norm_few_back_on(s, j->rows, b, c->dtype, &lines);
  return norm_lines_on(s, j->rows, b, c->dtype, j->rows.channels, lines.offset + n, counters, &lines) &&
         ((!b->dx && !b->dr) || norm_back_on(s, j->rows, b, c->dtype, j->rows.channels));
}

/* ---- batch_norm ---- */

static Norm batch_of(const Call *c) {
  Norm j = {.rows = norm_rows_of(c, 1), .act = (Activation)c->arg[ACT].list[0]};
  j.share = c->arg[TRAINING].n != 0 ? 1 / (double)j.rows.rows : 0;
  return j;
}

static int batch_forward(Call *c) {
  Norm j = batch_of(c);
  const Tensor *residual = c->in[RESIDUAL];
  bool keeps = c->training && residual && j.act != ACT_NONE;
  float *y = output(c, 0);
  unsigned char *mask = NULL;
  c->recompute = !residual;
  if (!y ||
      (keeps && j.act != ACT_SILU && !norm_mask_keep(c, KEPT_GIVEN, &j.rows, input(c, RESIDUAL), y, &mask)))
    return 0;
  if (j.share > 0 && j.rows.rows <= NORM_FEW) {
    NormStatistics a;
    if (!batch_statistics(c, j.rows.channels, &a) || !few(c, &j, &a, input(c, RESIDUAL), y, mask)) return 0;
  } else if (!cuda_norm_prepare(c, j.rows, NULL, NULL) || !apply(c, &j, input(c, RESIDUAL), y, mask))
    return 0;
  if (!keeps || mask) return 1;
  return call_save(c, KEPT_GIVEN, j.act == ACT_SILU ? residual : c->out[0]);
}

static int batch_recompute(Call *c) {
  Norm j = batch_of(c);
  return apply(c, &j, NULL, output(c, 0), NULL);
}

static int batch_backward(Call *c) {
  Norm j = batch_of(c);
  NormBack b = {0};
  if (!c->grad_out[0]) return 1;
  if (c->needs_grad[RESIDUAL] && j.act == ACT_NONE) {
    if (!call_grad_is(c, RESIDUAL, c->grad_out[0])) return 0;
  } else if (c->needs_grad[RESIDUAL] && !(b.dr = call_grad(c, RESIDUAL, &b.dr_add)))
    return 0;
  norm_mask_find(c, KEPT_GIVEN, &b);
  return backward(c, &j, &b);
}

const Kernel cuda_batch_norm = {
    .forward = batch_forward, .backward = batch_backward, .recompute = batch_recompute};

/* ---- instance_norm ---- */

static Norm instance_of(const Call *c) {
  Norm j = {.rows = norm_rows_of(c, c->in[INPUT]->shape[0]), .act = (Activation)c->arg[OWN_ACT].list[0]};
  j.share = 1 / (double)j.rows.rows;
  return j;
}

static int instance_forward(Call *c) {
  Norm j = instance_of(c);
  NormStatistics a = {.weight = input(c, WEIGHT), .bias = input(c, BIAS), .eps = c->arg[OWN_EPS].n};
  c->recompute = true;
  if (!norm_keep(c, j.rows.images, j.rows.channels, &a)) return 0;
  if (j.rows.rows <= NORM_FEW) return few(c, &j, &a, NULL, output(c, 0), NULL);
  return moments(c, j.rows, false, input(c, INPUT), &a) && apply(c, &j, NULL, output(c, 0), NULL);
}

static int instance_recompute(Call *c) {
  Norm j = instance_of(c);
  return apply(c, &j, NULL, output(c, 0), NULL);
}

static int instance_backward(Call *c) {
  Norm j = instance_of(c);
  NormBack b = {0};
  return !c->grad_out[0] || backward(c, &j, &b);
}

const Kernel cuda_instance_norm = {
    .forward = instance_forward, .backward = instance_backward, .recompute = instance_recompute};
