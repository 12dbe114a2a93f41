/* batch_norm (ops/op_norm.c) and instance_norm (ops/op_instance_norm.c): the same passes, with statistics of all rows,
 * or of each image's. */
#include "cuda/norm_kit.h"
#include "cuda/norm_plans.h"
#include "cuda/statistics.h"

enum { RESIDUAL = NORM_IN, KEPT_GIVEN = NORM_SAVED, KEPT_BIAS };
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
  Rows n = rows_cut(1, rows, channels, c->dtype);
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

static int find_statistics(Call *c, Rows n, const NormStatistics *a) {
  if (a->running && !a->pooled) return norm_running_on(stream_of(c), n.channels, a);
  return moments(c, n, true, input(c, INPUT), a);
}

int cuda_norm_prepare(Call *c, Rows n, float *means, float *pooled) {
  NormStatistics a;
  if (!batch_statistics(c, n.channels, &a)) return 0;
  a.means = means;
  a.pooled = pooled;
  if (pooled) a.sums = NULL; /* images' means take the pass in any case */
  return find_statistics(c, n, &a);
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

/* What backward reads and writes; b has the activation's part and dr already. 0 with a message. */
typedef struct Gradients {
  Norm norm;
  NormBack b;
  NormLines lines;
} Gradients;

static int find_gradients(Call *c, Gradients *g) {
  NormBack *b = &g->b;
  long n = g->norm.rows.images * g->norm.rows.channels;
  if (c->needs_grad[INPUT] && !(b->dx = call_grad(c, INPUT, &b->dx_add))) return 0;
  b->x = input(c, INPUT);
  b->dy = grad_out(c, 0);
  b->act = g->norm.act;
  b->mean = saved(c, KEPT_STATISTICS);
  b->scale = saved(c, KEPT_LINE);
  b->shift = b->scale + n;
  g->lines.inverse = b->mean + n;
  g->lines.share = g->norm.share;
  return cuda_norm_weights(c, &g->lines);
}

static int own_backward(Call *c, void *of) {
  const Gradients *g = of;
  Rows rows = g->norm.rows;
  NormBack b = g->b;
  NormLines lines = g->lines;
  long n = rows.images * rows.channels;
  CudaStream s = stream_of(c);
  unsigned *counters = cuda_counters(c, rows_counters(&rows));
  float *room = counters ? call_scratch(c, (size_t)(2 * n + rows_sums(&rows, 2)) * sizeof(float)) : NULL;
  if (!room) return 0;
  b.slope = lines.slope = room;
  b.offset = lines.offset = room + n;
  int ok;
  if (rows.rows <= NORM_FEW && (rows.images == 1 || !(lines.dweight || lines.dbias)))
    ok = norm_few_back_on(s, rows, &b, c->dtype, &lines);
  else
    ok = norm_lines_on(s, rows, &b, c->dtype, rows.channels, room + 2 * n, counters, &lines) &&
         ((!b.dx && !b.dr) || norm_back_on(s, rows, &b, c->dtype, rows.channels));
  call_drop(c, room);
  return ok;
}

/* ---- batch_norm ---- */

static Norm batch_of(const Call *c) {
  Norm j = {.rows = norm_rows_of(c, 1), .act = (Activation)c->arg[ACT].list[0]};
  j.share = c->arg[TRAINING].n != 0 ? 1 / (double)j.rows.rows : 0;
  return j;
}

/* What forward reads and writes. */
typedef struct Batch {
  Norm norm;
  NormStatistics a;
  const float *residual;
  float *y;
  unsigned char *mask;
} Batch;

static int own_forward(Call *c, void *of) {
  const Batch *b = of;
  const Norm *j = &b->norm;
  if (j->share > 0 && j->rows.rows <= NORM_FEW) return few(c, j, &b->a, b->residual, b->y, b->mask);
  return find_statistics(c, j->rows, &b->a) && apply(c, j, b->residual, b->y, b->mask);
}

static int batch_forward(Call *c) {
  Batch b = {.norm = batch_of(c), .residual = input(c, RESIDUAL), .y = output(c, 0)};
  const Norm *j = &b.norm;
  const Tensor *residual = c->in[RESIDUAL];
  bool keeps = c->training && residual && j->act != ACT_NONE, done = false;
  c->recompute = !residual;
  if (!b.y ||
      (keeps && j->act != ACT_SILU && !norm_mask_keep(c, KEPT_GIVEN, &j->rows, b.residual, b.y, &b.mask)) ||
      !batch_statistics(c, j->rows.channels, &b.a))
    return 0;
  if (c->training && j->share > 0 && !cuda_norm_keep_bias(c, KEPT_BIAS, residual, j->act)) return 0;
  if (c->training && j->share > 0 && !b.a.sums &&
      !cuda_norm_planned(c, &b.a, b.residual, j->act, b.y, b.mask, (Apart){own_forward, &b}, &done))
    return 0;
  if (!done && !own_forward(c, &b)) return 0;
  if (!keeps || b.mask) return 1;
  return call_save(c, KEPT_GIVEN, j->act == ACT_SILU ? residual : c->out[0]);
}

static int batch_recompute(Call *c) {
  Norm j = batch_of(c);
  return apply(c, &j, NULL, output(c, 0), NULL);
}

static int batch_backward(Call *c) {
  Gradients g = {.norm = batch_of(c)};
  bool done = false;
  if (!c->grad_out[0]) return 1;
  if (c->needs_grad[RESIDUAL] && g.norm.act == ACT_NONE) {
    if (!call_grad_is(c, RESIDUAL, c->grad_out[0])) return 0;
  } else if (c->needs_grad[RESIDUAL] && !(g.b.dr = call_grad(c, RESIDUAL, &g.b.dr_add)))
    return 0;
  norm_mask_find(c, KEPT_GIVEN, &g.b);
  if (!find_gradients(c, &g)) return 0;
  if (g.norm.share > 0 &&
      !cuda_norm_back_planned(c, &g.b, &g.lines, KEPT_BIAS, (Apart){own_backward, &g}, &done))
    return 0;
  return done || own_backward(c, &g);
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
  Gradients g = {.norm = instance_of(c)};
  return !c->grad_out[0] || (find_gradients(c, &g) && own_backward(c, &g));
}

const Kernel cuda_instance_norm = {
    .forward = instance_forward, .backward = instance_backward, .recompute = instance_recompute};
