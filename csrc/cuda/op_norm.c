/* batch_norm (ops/op_norm.c) and instance_norm (ops/op_instance_norm.c): the same passes, with statistics of all rows,
 * or of each image's. */
#include "cuda/norm_kit.h"

enum { RESIDUAL = NORM_IN, KEPT_GIVEN = NORM_SAVED };
enum { OWN_EPS, OWN_ACT }; /* instance_norm's parameters */

int cuda_norm_prepare(Call *c, Rows n, float *partial) {
  bool training = c->arg[TRAINING].n != 0;
  NormStatistics a = {.x = input(c, INPUT),
                      .dtype = c->dtype,
                      .weight = input(c, WEIGHT),
                      .bias = input(c, BIAS),
                      .momentum = c->arg[MOMENTUM].n,
                      .eps = c->arg[EPS].n,
                      .running_mean = (float *)input(c, RUNNING_MEAN), /* written to in training alone */
                      .running_var = (float *)input(c, RUNNING_VAR)};
  if (training && (!(a.running_mean = tensor_write(c->in[RUNNING_MEAN])) ||
                   !(a.running_var = tensor_write(c->in[RUNNING_VAR]))))
    return 0;
  float *own = training && !partial ? call_scratch(c, (size_t)rows_sums(&n, 2) * sizeof *own) : NULL;
  if (training && !partial && !(own && norm_moments_on(stream_of(c), n, c->dtype, input(c, INPUT), own)))
    return 0;
  a.partial = !training ? NULL : partial ? partial : own;
  int ok = norm_keep(c, 1, n.channels, &a) && norm_statistics_on(stream_of(c), n, true, &a);
  call_drop(c, own);
  return ok;
}

int cuda_norm_weights(Call *c, long sets, long channels, const float *sums, const float *inverse) {
  float *g[NORM_IN] = {NULL};
  bool add[NORM_IN] = {false};
  for (int i = WEIGHT; i <= BIAS; i++)
    if (c->needs_grad[i] && !(g[i] = call_grad(c, i, &add[i]))) return 0;
  return norm_weights_on(stream_of(c), sets, channels, sums, inverse, g[WEIGHT], add[WEIGHT], g[BIAS],
                         add[BIAS]);
}

/* ---- what both share ---- */

typedef struct Norm {
  Rows rows; /* lines are of n.images images */
  Activation act;
  double share; /* 1 / rows of a line's statistics; 0: running ones */
} Norm;

static int apply(Call *c, const Norm *j, const float *residual) {
  const float *line = saved(c, KEPT_LINE);
  float *y = output(c, 0);
  return y && norm_apply_on(stream_of(c), j->rows, c->dtype, input(c, INPUT), line,
                            line + j->rows.images * j->rows.channels, j->rows.channels, residual, j->act, y);
}

/* The gradients of input, weight and bias, and b's dr. */
static int backward(Call *c, const Norm *j, NormBack *b) {
  long n = j->rows.images * j->rows.channels;
  CudaStream s = stream_of(c);
  if (c->needs_grad[INPUT] && !(b->dx = call_grad(c, INPUT, &b->dx_add))) return 0;
  float *lines = call_scratch(c, (size_t)(4 * n) * sizeof *lines); /* slope, offset, 2 sums */
  float *partial = lines ? call_scratch(c, (size_t)rows_sums(&j->rows, 2) * sizeof *partial) : NULL;
  if (!partial) return 0;
  b->x = input(c, INPUT);
  b->dy = grad_out(c, 0);
  b->act = j->act;
  b->mean = saved(c, KEPT_STATISTICS);
  b->scale = saved(c, KEPT_LINE);
  b->shift = b->scale + n;
  b->slope = lines;
  b->offset = lines + n;
  return norm_sums_on(s, j->rows, b, c->dtype, j->rows.channels, partial) &&
         norm_lines_on(s, j->rows, partial, b->mean + n, b->scale, j->share, lines + 2 * n, lines,
                       lines + n) &&
         cuda_norm_weights(c, j->rows.images, j->rows.channels, lines + 2 * n, b->mean + n) &&
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
  c->recompute = !residual;
  if (!cuda_norm_prepare(c, j.rows, NULL) || !apply(c, &j, input(c, RESIDUAL))) return 0;
  if (!c->training || !residual || j.act == ACT_NONE) return 1;
  return call_save(c, KEPT_GIVEN, j.act == ACT_SILU ? residual : c->out[0]);
}

static int batch_recompute(Call *c) {
  Norm j = batch_of(c);
  return apply(c, &j, NULL);
}

static int batch_backward(Call *c) {
  Norm j = batch_of(c);
  NormBack b = {0};
  if (!c->grad_out[0]) return 1;
  if (c->needs_grad[RESIDUAL] && j.act == ACT_NONE) {
    if (!call_grad_is(c, RESIDUAL, c->grad_out[0])) return 0;
  } else if (c->needs_grad[RESIDUAL] && !(b.dr = call_grad(c, RESIDUAL, &b.dr_add)))
    return 0;
  b.given = c->saved[KEPT_GIVEN] ? saved(c, KEPT_GIVEN) : NULL;
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
  NormStatistics a = {.x = input(c, INPUT),
                      .dtype = c->dtype,
                      .weight = input(c, WEIGHT),
                      .bias = input(c, BIAS),
                      .eps = c->arg[OWN_EPS].n};
  float *partial = call_scratch(c, (size_t)rows_sums(&j.rows, 2) * sizeof *partial);
  c->recompute = true;
  a.partial = partial;
  return partial && norm_moments_on(stream_of(c), j.rows, c->dtype, input(c, INPUT), partial) &&
         norm_keep(c, j.rows.images, j.rows.channels, &a) &&
         norm_statistics_on(stream_of(c), j.rows, false, &a) && apply(c, &j, NULL);
}

static int instance_recompute(Call *c) {
  Norm j = instance_of(c);
  return apply(c, &j, NULL);
}

static int instance_backward(Call *c) {
  Norm j = instance_of(c);
  NormBack b = {0};
  return !c->grad_out[0] || backward(c, &j, &b);
}

const Kernel cuda_instance_norm = {
    .forward = instance_forward, .backward = instance_backward, .recompute = instance_recompute};
