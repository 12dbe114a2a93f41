/* Batch normalisation of channels-last tensors (Ioffe and Szegedy, ICML 2015) with what follows it in the
 * networks: y = act(weight (x - mean) / sqrt(var + eps) + bias + residual). In training mean and var are the
 * batch's and the running ones move towards them (var then unbiased); otherwise the running ones are used. A
 * batch of one number a channel leaves the running variance as it is. */
#include "ops/op_kit.h"

#include "ops/bodies_norm.h"

enum { INPUT, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR, RESIDUAL };
enum { TRAINING, MOMENTUM, EPS, ACT };
enum { ELEMENTS = 1 << 16, ROWS = 32 };

typedef struct NormJob {
  long rows, channels, block; /* block: rows a chunk */
  const real *x, *residual, *scale, *shift;
  real *to;
  NormBack back;
  double *partial; /* chunks x 2 x channels */
  int act;
} NormJob;

static NormJob job_of(const Call *c) {
  NormJob j = {.channels = c->in[WEIGHT]->size, .act = (int)c->arg[ACT].n};
  j.rows = c->in[INPUT]->size / (j.channels ? j.channels : 1);
  long rows = ELEMENTS / (j.channels ? j.channels : 1);
  j.block = rows > ROWS ? rows : ROWS;
  return j;
}

static long chunks_of(const NormJob *j) { return (j->rows + j->block - 1) / j->block; }
static long rows_of(const NormJob *j, long chunk) { return least(j->block, j->rows - chunk * j->block); }

/* ---- statistics ---- */
static int moments_chunk(void *arg, long chunk) {
  const NormJob *j = arg;
  double *p = j->partial + chunk * 2 * j->channels;
  HOT_CALL(norm_moments, rows_of(j, chunk), j->channels, j->x + chunk * j->block * j->channels, p,
           p + j->channels);
  return 1;
}

/* Mean and sum of squared differences of all rows, from those of the chunks (Chan, Golub, LeVeque 1983). */
static int moments(NormJob *j, double *mean, double *squares) {
  long chunks = chunks_of(j), C = j->channels;
  size_t bytes = (size_t)(chunks * 2 * C) * sizeof(double);
  if (!(j->partial = memory_take(bytes))) return 0;
  int ok = parallel(chunks, moments_chunk, j);
  for (long i = 0; i < C && ok; i++) {
    double n = 0, m = 0, s = 0;
    for (long k = 0; k < chunks; k++) {
      double rows = (double)rows_of(j, k), d = j->partial[k * 2 * C + i] - m;
      s += j->partial[(k * 2 + 1) * C + i] + d * d * n * rows / (n + rows);
      m += d * rows / (n + rows);
      n += rows;
    }
    mean[i] = m;
    squares[i] = s;
  }
  memory_give(j->partial, bytes);
  return ok;
}

static int update_running(Call *c, long n, const double *mean, const double *squares) {
  real *m = tensor_write(c->in[RUNNING_MEAN]), *v = m ? tensor_write(c->in[RUNNING_VAR]) : NULL;
  double momentum = c->arg[MOMENTUM].n;
  if (!v) return 0;
  for (long i = 0; i < c->in[WEIGHT]->size; i++) {
    m[i] = (real)((1 - momentum) * (double)m[i] + momentum * mean[i]);
    if (n > 1) v[i] = (real)((1 - momentum) * (double)v[i] + momentum * squares[i] / (double)(n - 1));
  }
  return 1;
}

/* mean[C] and 1 / sqrt(var + eps)[C] that this call normalises with. */
static int statistics(Call *c, NormJob *j, double *mean, double *inverse) {
  double eps = c->arg[EPS].n;
  if (c->arg[TRAINING].n == 0 || j->rows == 0) {
    for (long i = 0; i < j->channels; i++) {
      mean[i] = (double)input(c, RUNNING_MEAN)[i];
      inverse[i] = 1 / sqrt((double)input(c, RUNNING_VAR)[i] + eps);
    }
    return 1;
  }
  if (!moments(j, mean, inverse) || !update_running(c, j->rows, mean, inverse)) return 0;
  for (long i = 0; i < j->channels; i++) inverse[i] = 1 / sqrt(inverse[i] / (double)j->rows + eps);
  return 1;
}

/* ---- the op ---- */
static int norm_shape(Call *c) {
  static const char *const names[] = {"input", "weight", "bias", "running_mean", "running_var"};
  const Tensor *x = c->in[INPUT];
  if (x->rank < 1) return call_fail(c, "input: expected channels in its last dimension, found a scalar");
  for (int i = INPUT; i <= RESIDUAL; i++)
    if (!want_real(c, i)) return 0;
  for (int i = WEIGHT; i <= RUNNING_VAR; i++)
    if (c->in[i]->rank != 1 || c->in[i]->size != x->shape[x->rank - 1])
      return call_fail(c, "%s: expected %ld numbers, found %s", names[i], x->shape[x->rank - 1],
                       tensor_text(c->in[i]));
  if (c->in[RESIDUAL] && !tensor_same_shape(c->in[RESIDUAL], x))
    return call_fail(c, "residual: expected %s, found %s", tensor_text(x), tensor_text(c->in[RESIDUAL]));
  if (c->arg[ACT].n != 0 && c->arg[ACT].n != 1 && c->arg[ACT].n != 2)
    return call_fail(c, "act: expected 0 (none), 1 (ReLU) or 2 (ReLU6), found %g", c->arg[ACT].n);
  return call_out(c, 0, REAL_DTYPE, x->rank, x->shape);
}

static int apply_chunk(void *arg, long chunk) {
  const NormJob *j = arg;
  long at = chunk * j->block * j->channels;
  HOT_CALL(norm_apply, rows_of(j, chunk), j->channels, j->x + at, j->scale, j->shift,
           j->residual ? j->residual + at : NULL, j->act, j->to + at);
  return 1;
}

static int norm_forward(Call *c) {
  NormJob j = job_of(c);
  long C = j.channels;
  Tensor *kept = call_save_new(c, 0, F64, 2, SHAPE(2, C)),
         *lines = call_save_new(c, 1, REAL_DTYPE, 2, SHAPE(2, C));
  double *mean = kept ? tensor_write(kept) : NULL;
  real *line = lines ? tensor_write(lines) : NULL;
  j.x = input(c, INPUT);
  j.residual = input(c, RESIDUAL);
  j.to = output(c, 0);
  if (!mean || !line || !j.to || !statistics(c, &j, mean, mean + C)) return 0;
  for (long i = 0; i < C; i++) {
    double scale = (double)input(c, WEIGHT)[i] * mean[C + i];
    line[i] = (real)scale;
    line[C + i] = (real)((double)input(c, BIAS)[i] - mean[i] * scale);
  }
  j.scale = line;
  j.shift = line + C;
  c->again = !j.residual;
  if (!parallel(chunks_of(&j), apply_chunk, &j)) return 0;
  return !c->training || !j.act || !j.residual || call_save(c, 2, c->out[0]);
}

static int norm_again(Call *c) {
  NormJob j = job_of(c);
  j.x = input(c, INPUT);
  j.scale = saved(c, 1);
  j.shift = j.scale + j.channels;
  j.to = output(c, 0);
  return j.to && parallel(chunks_of(&j), apply_chunk, &j);
}

static int sums_chunk(void *arg, long chunk) {
  const NormJob *j = arg;
  double *p = j->partial + chunk * 2 * j->channels;
  memset(p, 0, (size_t)(2 * j->channels) * sizeof *p);
  HOT_CALL(norm_sums, chunk * j->block, rows_of(j, chunk), j->channels, &j->back, p, p + j->channels);
  return 1;
}

static int back_chunk(void *arg, long chunk) {
  const NormJob *j = arg;
  HOT_CALL(norm_back, chunk * j->block, rows_of(j, chunk), j->channels, &j->back);
  return 1;
}

/* Sums over all rows of dz and dz (x - mean), each channels long, into the first entries of j->partial. */
static int sums(NormJob *j) {
  long chunks = chunks_of(j), n = 2 * j->channels;
  if (!parallel(chunks, sums_chunk, j)) return 0;
  for (long i = 0; i < n; i++) {
    double s = 0;
    for (long k = 0; k < chunks; k++) s += j->partial[k * n + i];
    j->partial[i] = s;
  }
  return 1;
}

static int channel_grad(Call *c, int which, const double *sum, const double *factor) {
  bool add;
  real *g = c->want[which] ? call_grad(c, which, &add) : NULL;
  if (!g) return !c->want[which];
  for (long i = 0; i < c->in[which]->size; i++)
    g[i] = (add ? g[i] : 0) + (real)(factor ? sum[i] * factor[i] : sum[i]);
  return 1;
}

/* dx = scale (dz - mean of dz - xhat mean of (dz xhat)) in training, scale dz otherwise. */
static int norm_backward(Call *c) {
  NormJob j = job_of(c);
  NormBack *b = &j.back;
  long C = j.channels;
  const double *mean = tensor_data(c->saved[0]), *inverse = mean + C;
  if (!c->gout[0]) return 1;
  if (c->want[RESIDUAL] && !j.act) {
    if (!call_grad_is(c, RESIDUAL, c->gout[0])) return 0;
  } else if (c->want[RESIDUAL] && !(b->dr = call_grad(c, RESIDUAL, &b->dr_add)))
    return 0;
  if (c->want[INPUT] && !(b->dx = call_grad(c, INPUT, &b->dx_add))) return 0;
  size_t bytes = (size_t)((chunks_of(&j) + 1) * 2 * C) * sizeof(double),
         lines = (size_t)(3 * C) * sizeof(real);
  real *line = memory_take(lines);
  j.partial = memory_take(bytes);
  int ok = line && j.partial;
  if (ok) {
    for (long i = 0; i < C; i++) line[i] = (real)mean[i];
    b->x = input(c, INPUT);
    b->dy = arrived(c, 0);
    b->y = c->saved[2] ? saved(c, 2) : NULL;
    b->act = j.act;
    b->mean = line;
    b->scale = saved(c, 1);
    b->shift = saved(c, 1) + C;
    ok =
        sums(&j) && channel_grad(c, BIAS, j.partial, NULL) && channel_grad(c, WEIGHT, j.partial + C, inverse);
  }
  if (ok && (b->dx || b->dr)) {
    double n = c->arg[TRAINING].n != 0 ? -1 / (double)j.rows : 0;
    for (long i = 0; i < C; i++) {
      double scale = (double)input(c, WEIGHT)[i] * inverse[i];
      line[C + i] = (real)(n * scale * inverse[i] * inverse[i] * j.partial[C + i]);
      line[2 * C + i] = (real)(n * scale * j.partial[i]);
    }
    b->slope = line + C;
    b->offset = line + 2 * C;
    ok = parallel(chunks_of(&j), back_chunk, &j);
  }
  memory_give(line, lines);
  memory_give(j.partial, bytes);
  return ok;
}

static int norm_sample(Call *c, Random *r, int variant) {
  static const struct {
    int rank, training, act, residual;
    long shape[4];
  } samples[] = {{4, 1, 0, 0, {2, 3, 3, 5}},  {4, 1, 1, 0, {2, 4, 3, 8}}, {4, 1, 1, 1, {1, 3, 4, 3}},
                 {4, 0, 1, 1, {2, 2, 3, 4}},  {4, 0, 2, 0, {1, 3, 2, 9}}, {2, 1, 2, 1, {6, 4}},
                 {4, 1, 0, 1, {2, 1, 2, 17}}, {4, 1, 1, 0, {0, 2, 2, 3}}, {4, 0, 0, 0, {1, 1, 1, 1}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  int rank = samples[variant].rank;
  long C = samples[variant].shape[rank - 1];
  sample_arg(c, TRAINING, samples[variant].training);
  sample_arg(c, ACT, samples[variant].act);
  sample_arg(c, MOMENTUM, variant % 2 ? 0.1 : 0.3);
  if (!sample_input(c, INPUT, r, rank, samples[variant].shape)) return 0;
  for (int i = WEIGHT; i <= RUNNING_VAR; i++)
    if (!sample_input(c, i, r, 1, SHAPE(C))) return 0;
  real *var = tensor_write(c->in[RUNNING_VAR]);
  for (long i = 0; var && i < C; i++) var[i] = (real)0.5 + var[i] * var[i];
  return var && (!samples[variant].residual || sample_input(c, RESIDUAL, r, rank, samples[variant].shape));
}

const Op REALNAME(op_batch_norm) = {
    .name = "batch_norm",
    .args = "input weight bias running_mean running_var residual? training=false momentum=0.1 eps=1e-5 act=0",
    .doc = "act(batch norm over the last dimension + residual); act: 0 none, 1 ReLU, 2 ReLU6",
    .shape = norm_shape,
    .forward = norm_forward,
    .backward = norm_backward,
    .again = norm_again,
    .sample = norm_sample,
    .lean = 60};
