/* Batch normalisation of channels-last tensors (Ioffe and Szegedy, ICML 2015) with what follows it in the
 * networks: y = act(weight (x - mean) / sqrt(var + eps) + bias + residual). */
#include "ops/norm.h"

enum { RESIDUAL = NORM_IN, KEPT_GIVEN = NORM_SAVED };

typedef struct NormJob {
  NormRows rows;
  const real *x, *residual, *scale, *shift;
  real *to;
  NormBack back;
  double *partial; /* chunks x 2 x channels */
  Activation act;
} NormJob;

static NormJob job_of(const Call *c) {
  return (NormJob){.rows = REALNAME(norm_rows)(c, 1), .act = (Activation)c->arg[ACT].list[0]};
}

static int norm_shape(Call *c) {
  const Tensor *x = c->in[INPUT], *residual = c->in[RESIDUAL];
  if (!REALNAME(norm_check)(c) || !want_real(c, RESIDUAL)) return 0;
  if (residual && !tensor_same_shape(residual, x))
    return call_fail(c, "residual: expected %s, found %s", tensor_text(x), tensor_text(residual));
  return call_out(c, 0, c->dtype, x->rank, x->shape);
}

static int apply_chunk(void *arg, long chunk) {
  const NormJob *j = arg;
  long C = j->rows.channels, at = norm_first(&j->rows, chunk) * C;
  HOT_CALL(norm_apply, norm_count(&j->rows, chunk), C, j->x + at, j->scale, j->shift,
           j->residual ? j->residual + at : NULL, j->act, j->to + at);
  return 1;
}

static int norm_forward(Call *c) {
  NormJob j = job_of(c);
  j.x = input(c, INPUT);
  j.residual = input(c, RESIDUAL);
  j.to = output(c, 0);
  if (!j.to || !REALNAME(norm_prepare)(c, &j.rows, NULL)) return 0;
  j.scale = saved(c, KEPT_LINE);
  j.shift = j.scale + j.rows.channels;
  c->recompute = !j.residual;
  if (!parallel(norm_chunks(&j.rows), apply_chunk, &j)) return 0;
  if (!c->training || !j.residual || j.act == ACT_NONE) return 1;
  return call_save(c, KEPT_GIVEN, j.act == ACT_SILU ? c->in[RESIDUAL] : c->out[0]);
}

static int norm_recompute(Call *c) {
  NormJob j = job_of(c);
  j.x = input(c, INPUT);
  j.scale = saved(c, KEPT_LINE);
  j.shift = j.scale + j.rows.channels;
  j.to = output(c, 0);
  return j.to && parallel(norm_chunks(&j.rows), apply_chunk, &j);
}

static int sums_chunk(void *arg, long chunk) {
  const NormJob *j = arg;
  long C = j->rows.channels;
  double *p = j->partial + chunk * 2 * C;
  memset(p, 0, (size_t)(2 * C) * sizeof *p);
  HOT_CALL(norm_sums, norm_first(&j->rows, chunk), norm_count(&j->rows, chunk), C, &j->back, p, p + C);
  return 1;
}

static int back_chunk(void *arg, long chunk) {
  const NormJob *j = arg;
  HOT_CALL(norm_back, norm_first(&j->rows, chunk), norm_count(&j->rows, chunk), j->rows.channels, &j->back);
  return 1;
}

/* Sums over all rows of dz and dz (x - mean), each channels long, into the first entries of j->partial. */
static int sums(NormJob *j) {
  long chunks = norm_chunks(&j->rows), n = 2 * j->rows.channels;
  if (!parallel(chunks, sums_chunk, j)) return 0;
  for (long i = 0; i < n; i++) {
    double s = 0;
    for (long k = 0; k < chunks; k++) s += j->partial[k * n + i];
    j->partial[i] = s;
  }
  return 1;
}

static int norm_backward(Call *c) {
  NormJob j = job_of(c);
  NormBack *b = &j.back;
  long C = j.rows.channels;
  if (!c->grad_out[0]) return 1;
  if (c->needs_grad[RESIDUAL] && j.act == ACT_NONE) {
    if (!call_grad_is(c, RESIDUAL, c->grad_out[0])) return 0;
  } else if (c->needs_grad[RESIDUAL] && !(b->dr = call_grad(c, RESIDUAL, &b->dr_add)))
    return 0;
  if (c->needs_grad[INPUT] && !(b->dx = call_grad(c, INPUT, &b->dx_add))) return 0;
  size_t bytes = (size_t)((norm_chunks(&j.rows) + 1) * 2 * C) * sizeof(double),
         lines = (size_t)(3 * C) * sizeof(real);
  real *line = call_scratch(c, lines);
  j.partial = call_scratch(c, bytes);
  int ok = line && j.partial;
  if (ok) {
    const double *mean = tensor_data(c->saved[KEPT_STATISTICS]);
    for (long i = 0; i < C; i++) line[i] = (real)mean[i];
    b->x = input(c, INPUT);
    b->dy = grad_out(c, 0);
    b->given = c->saved[KEPT_GIVEN] ? saved(c, KEPT_GIVEN) : NULL;
    b->act = j.act;
    b->mean = line;
    b->scale = saved(c, KEPT_LINE);
    b->shift = b->scale + C;
    ok = sums(&j) && REALNAME(norm_weight_grads)(c, j.partial);
  }
  if (ok && (b->dx || b->dr)) {
    REALNAME(norm_line_back)(c, &j.rows, j.partial, line);
    b->slope = line + C;
    b->offset = line + 2 * C;
    ok = parallel(norm_chunks(&j.rows), back_chunk, &j);
  }
  return ok;
}

static int norm_sample(Call *c, Random *r, int variant) {
  static const struct {
    int rank, training, act, residual;
    long shape[4];
  } samples[] = {{4, 1, 0, 0, {2, 3, 3, 5}},  {4, 1, 1, 0, {2, 4, 3, 8}}, {4, 1, 1, 1, {1, 3, 4, 3}},
                 {4, 0, 1, 1, {2, 2, 3, 4}},  {4, 0, 2, 0, {1, 3, 2, 9}}, {2, 1, 2, 1, {6, 4}},
                 {4, 1, 0, 1, {2, 1, 2, 17}}, {4, 1, 1, 0, {0, 2, 2, 3}}, {4, 0, 0, 0, {1, 1, 1, 1}},
                 {4, 1, 3, 0, {2, 3, 3, 5}},  {4, 0, 3, 0, {1, 2, 2, 9}}, {2, 1, 3, 1, {7, 3}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  int rank = samples[variant].rank;
  sample_choice(c, ACT, samples[variant].act);
  return REALNAME(norm_sample_inputs)(c, r, variant, samples[variant].training, rank,
                                      samples[variant].shape) &&
         (!samples[variant].residual || sample_input(c, RESIDUAL, r, rank, samples[variant].shape));
}

DESCRIPTOR op_batch_norm = {
    .name = "batch_norm",
    .args = "input weight bias running_mean running_var residual? training=false momentum=0.1 eps=1e-5 "
            "act:none|relu|relu6|silu=none",
    .doc = "act(batch norm over the last dimension + residual)",
    .shape = norm_shape,
    .sample = norm_sample,
    .full = 1 << WEIGHT | 1 << BIAS | 1 << RUNNING_MEAN | 1 << RUNNING_VAR,
    .no_grad = 1 << RUNNING_MEAN | 1 << RUNNING_VAR,
    .mutates = 1 << RUNNING_MEAN | 1 << RUNNING_VAR,
    .mutating = REALNAME(norm_training),
    .shape_only = 60};
const Kernel REALNAME(cpu_batch_norm) = {
    .forward = norm_forward, .backward = norm_backward, .recompute = norm_recompute};
