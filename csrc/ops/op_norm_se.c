/* batch_norm_se: how a block with squeeze and excitation ends (Hu, Shen, Sun, CVPR 2018), in one op.
 *
 *   ReLU (ResNets):       u = batch norm(x)         y = relu(u gate + residual)
 *   SiLU (EfficientNets): u = silu(batch norm(x))   y = u gate
 *   gate = sigmoid(w2 act(w1 (mean of u over the pixels) + b1) + b2), for every image and channel
 *
 * u is not kept. For one channel of one image, its gradient is gate dz + pool, where dz is y's gradient
 * (in ResNets where the ReLU is open) and pool a constant, what comes through the mean. So all gradients but
 * those of maps follow from sums over the pixels of each image, of one pass: that of the gate, from it pool,
 * from both what batch norm sums over all images. A second pass writes dx and the residual's gradient. */
#include "ops/norm.h"

#include "ops/bodies_se.h"
#include "ops/squeeze_excite.h"

enum { W1 = NORM_IN, B1, W2, B2, RESIDUAL };
enum {
  KEPT_GATE = NORM_SAVED,
  KEPT_MEANS,
  KEPT_OUTPUT
}; /* of SqueezeExcite; with ReLU: images' means of x; y */

typedef struct SeJob {
  NormRows rows;
  SqueezeExcite se;
  const real *x, *residual, *dy;
  real *y, *dx;
  SeLines lines;             /* with SiLU; gate and pool are the first image's */
  NormBack back;             /* with ReLU; scale and offset are the first image's */
  const real *scale, *shift; /* forward with ReLU: batch norm's times the gate, images x channels */
  double *partial;           /* chunks x SE_SUMS (forward: 1) x channels */
  bool silu, dx_add;
} SeJob;

/* Of the two that there are. */
static Activation act_of(const Call *c) { return c->arg[ACT].list[0] ? ACT_SILU : ACT_RELU; }

static SeJob job_of(const Call *c) {
  SeJob j = {.rows = REALNAME(norm_rows)(c, c->in[INPUT]->shape[0]), .silu = act_of(c) == ACT_SILU};
  j.x = input(c, INPUT);
  j.se = (SqueezeExcite){.images = j.rows.images,
                         .channels = j.rows.channels,
                         .squeezed = c->in[B1]->size,
                         .silu = j.silu,
                         .w1 = input(c, W1),
                         .w2 = input(c, W2)};
  return j;
}

/* ---- checks ---- */
static int want_shape(const Call *c, int i, const char *name, int rank, const long *shape) {
  const Tensor *t = c->in[i];
  if (!want_real(c, i)) return 0;
  return (t->rank == rank && !memcmp(t->shape, shape, (size_t)rank * sizeof *shape)) ||
         call_fail(c, "%s: expected %s, found %s", name, shape_text(rank, shape), tensor_text(t));
}

static int se_shape(Call *c) {
  const Tensor *x = c->in[INPUT];
  if (!REALNAME(norm_check)(c) || !call_want_rank(c, INPUT, 4) || !call_want_rank(c, W1, 4)) return 0;
  long C = x->shape[3], S = c->in[W1]->shape[0];
  if (x->shape[1] * x->shape[2] == 0)
    return call_fail(c, "input: expected at least one pixel, found %s", tensor_text(x));
  if (!want_shape(c, W1, "w1", 4, SHAPE(S, 1, 1, C)) || !want_shape(c, B1, "b1", 1, SHAPE(S)) ||
      !want_shape(c, W2, "w2", 4, SHAPE(C, 1, 1, S)) || !want_shape(c, B2, "b2", 1, SHAPE(C)))
    return 0;
  if (c->in[RESIDUAL] && act_of(c) == ACT_SILU)
    return call_fail(c, "residual: expected none with act = silu, found %s", tensor_text(c->in[RESIDUAL]));
  if (c->in[RESIDUAL] && !want_shape(c, RESIDUAL, "residual", 4, x->shape)) return 0;
  return call_out(c, 0, c->dtype, 4, x->shape);
}

/* ---- forward ---- */

/* The mean of u over the pixels where u is batch norm alone: that of x, sent through it. */
static void pool(const Call *c, const SeJob *j) {
  long C = j->rows.channels;
  const double *mean = tensor_data(c->saved[KEPT_STATISTICS]), *inverse = mean + C;
  for (long image = 0; image < j->rows.images; image++) {
    const double *own = (const double *)tensor_data(c->saved[KEPT_MEANS]) + image * C;
    for (long i = 0; i < C; i++) {
      double scale = (double)input(c, WEIGHT)[i] * inverse[i];
      j->se.pooled[image * C + i] = (real)(scale * (own[i] - mean[i]) + (double)input(c, BIAS)[i]);
    }
  }
}

static int pool_chunk(void *arg, long chunk) {
  const SeJob *j = arg;
  long C = j->rows.channels;
  double *p = j->partial + chunk * C;
  memset(p, 0, (size_t)C * sizeof *p);
  long at = norm_first(&j->rows, chunk) * C;
  HOT_CALL(se_pool, norm_count(&j->rows, chunk), C, j->x + at, &j->lines, j->y + at, p);
  return 1;
}

/* Adds up n sums of each chunk of an image, in the place of its first chunk's. */
static double *image_sums(const SeJob *j, long image, long n) {
  double *first = j->partial + image * j->rows.blocks * n;
  for (long k = 1; k < j->rows.blocks; k++)
    for (long i = 0; i < n; i++) first[i] += first[k * n + i];
  return first;
}

/* The same where SiLU follows: by a pass over x that leaves u in y. */
static int pool_silu(Call *c, SeJob *j) {
  long C = j->rows.channels;
  size_t bytes = (size_t)(norm_chunks(&j->rows) * C) * sizeof(double);
  if (!(j->partial = call_scratch(c, bytes))) return 0;
  int ok = parallel(norm_chunks(&j->rows), pool_chunk, j);
  for (long image = 0; image < j->rows.images && ok; image++) {
    const double *sum = image_sums(j, image, C);
    for (long i = 0; i < C; i++) j->se.pooled[image * C + i] = (real)(sum[i] / (double)j->rows.rows);
  }
  return ok;
}

static int apply_chunk(void *arg, long chunk) {
  const SeJob *j = arg;
  long C = j->rows.channels, rows = norm_count(&j->rows, chunk), at = norm_first(&j->rows, chunk) * C,
       image = norm_image(&j->rows, chunk) * C;
  if (j->silu)
    HOT_CALL(se_gate, rows, C, j->se.gate + image, j->y + at);
  else
    HOT_CALL(norm_apply, rows, C, j->x + at, j->scale + image, j->shift + image,
             j->residual ? j->residual + at : NULL, ACT_RELU, j->y + at);
  return 1;
}

static int apply(Call *c, SeJob *j) {
  long C = j->rows.channels, n = j->rows.images * C;
  if (j->silu) return parallel(norm_chunks(&j->rows), apply_chunk, j);
  size_t bytes = (size_t)(2 * n) * sizeof(real);
  real *line = call_scratch(c, bytes);
  for (long at = 0; at < n && line; at += C)
    for (long i = 0; i < C; i++) {
      line[at + i] = j->se.gate[at + i] * j->lines.scale[i];
      line[n + at + i] = j->se.gate[at + i] * j->lines.shift[i];
    }
  j->scale = line;
  j->shift = line + n;
  return line && parallel(norm_chunks(&j->rows), apply_chunk, j);
}

static int se_forward(Call *c) {
  SeJob j = job_of(c);
  long N = j.rows.images, C = j.rows.channels;
  Tensor *kept = call_save_new(c, KEPT_GATE, c->dtype, 1, SHAPE(squeeze_excite_numbers(&j.se))),
         *means = j.silu || !kept ? NULL : call_save_new(c, KEPT_MEANS, F64, 2, SHAPE(N, C));
  real *memory = kept ? tensor_write(kept) : NULL;
  double *mean = means ? tensor_write(means) : NULL;
  if (!memory || !(mean || j.silu) || !(j.y = output(c, 0))) return 0;
  if (!REALNAME(norm_prepare)(c, &j.rows, mean)) return 0;
  squeeze_excite_place(&j.se, memory);
  j.se.b1 = input(c, B1);
  j.se.b2 = input(c, B2);
  j.residual = input(c, RESIDUAL);
  j.lines.scale = saved(c, KEPT_LINE);
  j.lines.shift = j.lines.scale + C;
  if (!j.silu) pool(c, &j);
  if ((j.silu && !pool_silu(c, &j)) || !REALNAME(squeeze_excite_forward)(&j.se) || !apply(c, &j)) return 0;
  c->recompute = j.silu; /* with ReLU backward keeps the output itself */
  return j.silu || !c->training || call_save(c, KEPT_OUTPUT, c->out[0]);
}

static int recompute_chunk(void *arg, long chunk) {
  const SeJob *j = arg;
  long C = j->rows.channels, at = norm_first(&j->rows, chunk) * C;
  SeLines l = j->lines;
  l.gate += norm_image(&j->rows, chunk) * C;
  HOT_CALL(se_apply, norm_count(&j->rows, chunk), C, j->x + at, &l, j->y + at);
  return 1;
}

static int se_recompute(Call *c) {
  SeJob j = job_of(c);
  squeeze_excite_place(&j.se, (real *)tensor_data(c->saved[KEPT_GATE])); /* only read */
  j.lines.scale = saved(c, KEPT_LINE);
  j.lines.shift = j.lines.scale + j.rows.channels;
  j.lines.gate = j.se.gate;
  return (j.y = output(c, 0)) && parallel(norm_chunks(&j.rows), recompute_chunk, &j);
}

/* ---- backward ---- */
static int sums_chunk(void *arg, long chunk) {
  const SeJob *j = arg;
  long C = j->rows.channels, rows = norm_count(&j->rows, chunk), first = norm_first(&j->rows, chunk);
  double *p = j->partial + chunk * SE_SUMS * C;
  memset(p, 0, (size_t)(SE_SUMS * C) * sizeof *p);
  if (j->silu)
    HOT_CALL(se_sums, rows, C, j->x + first * C, j->dy + first * C, &j->lines, p);
  else
    HOT_CALL(norm_sums, first, rows, C, &j->back, p + SE_DY_A * C, p + SE_DY_AX * C);
  return 1;
}

/* The sums of an image's pixels. With ReLU, where a = 1 and u = scale (x - mean) + bias, three of them follow
 * from the others and from the mean of x. */
static const double *whole_image(const Call *c, const SeJob *j, long image) {
  long C = j->rows.channels;
  double *sum = image_sums(j, image, SE_SUMS * C), pixels = (double)j->rows.rows;
  const double *mean = tensor_data(c->saved[KEPT_STATISTICS]), *inverse = mean + C;
  const double *own = j->silu ? NULL : (const double *)tensor_data(c->saved[KEPT_MEANS]) + image * C;
  for (long i = 0; i < C && !j->silu; i++) {
    double scale = (double)input(c, WEIGHT)[i] * inverse[i], bias = (double)input(c, BIAS)[i];
    sum[SE_DY_U * C + i] = scale * sum[SE_DY_AX * C + i] + bias * sum[SE_DY_A * C + i];
    sum[SE_A * C + i] = pixels;
    sum[SE_AX * C + i] = pixels * (own[i] - mean[i]);
  }
  return sum;
}

/* Batch norm's two sums over all images, of v's gradient a (gate dz + pool) and that times (x - mean). */
static void total_sums(const SeJob *j, const real *pooled, double *total) {
  long C = j->rows.channels;
  memset(total, 0, (size_t)(2 * C) * sizeof *total);
  for (long image = 0; image < j->rows.images; image++) {
    const double *sum = j->partial + image * j->rows.blocks * SE_SUMS * C;
    for (long i = 0; i < C; i++) {
      double gate = (double)j->se.gate[image * C + i], p = (double)pooled[image * C + i];
      total[i] += gate * sum[SE_DY_A * C + i] + p * sum[SE_A * C + i];
      total[C + i] += gate * sum[SE_DY_AX * C + i] + p * sum[SE_AX * C + i];
    }
  }
}

static int back_chunk(void *arg, long chunk) {
  const SeJob *j = arg;
  long C = j->rows.channels, rows = norm_count(&j->rows, chunk), first = norm_first(&j->rows, chunk),
       image = norm_image(&j->rows, chunk) * C;
  SeLines l = j->lines;
  NormBack b = j->back;
  l.gate += image;
  l.pool += image;
  b.scale += image;
  b.offset += image;
  if (j->silu)
    HOT_CALL(se_back, rows, C, j->x + first * C, j->dy + first * C, &l, j->dx + first * C, j->dx_add);
  else
    HOT_CALL(norm_back, first, rows, C, &b);
  return 1;
}

/* line: 3 x channels, then 3 x images x channels. */
static int back(Call *c, SeJob *j, real *line, double *total) {
  long N = j->rows.images, C = j->rows.channels;
  const double *mean = tensor_data(c->saved[KEPT_STATISTICS]);
  const real *norm = saved(c, KEPT_LINE);
  real *pooled = line + 3 * C, *scale = pooled + N * C, *offset = scale + N * C;
  for (long i = 0; i < C; i++) line[i] = (real)mean[i];
  j->lines = (SeLines){.mean = line,
                       .scale = norm,
                       .shift = norm + C,
                       .gate = j->se.gate,
                       .pool = pooled,
                       .slope = line + C,
                       .offset = line + 2 * C};
  j->back.x = j->x;
  j->back.dy = j->dy;
  j->back.given = j->silu ? NULL : saved(c, KEPT_OUTPUT);
  j->back.act = ACT_RELU;
  j->back.mean = line;
  j->back.scale = j->back.shift = norm; /* not read where the output is given */
  j->back.slope = line + C;
  if (!parallel(norm_chunks(&j->rows), sums_chunk, j)) return 0;
  for (long image = 0; image < N; image++) {
    const double *sum = whole_image(c, j, image);
    for (long i = 0; i < C; i++) pooled[image * C + i] = (real)sum[SE_DY_U * C + i];
  }
  if (!REALNAME(squeeze_excite_backward)(c, &j->se, W1, pooled)) return 0;
  for (long i = 0; i < N * C; i++) pooled[i] /= (real)j->rows.rows;
  total_sums(j, pooled, total);
  if (!REALNAME(norm_weight_grads)(c, total)) return 0;
  if (!j->dx && !j->back.dr) return 1;
  REALNAME(norm_line_back)(c, &j->rows, total, line);
  for (long at = 0; at < N * C; at += C) /* with ReLU, gate and pool go into batch norm's lines */
    for (long i = 0; i < C; i++) {
      scale[at + i] = norm[i] * j->se.gate[at + i];
      offset[at + i] = j->lines.offset[i] + norm[i] * pooled[at + i];
    }
  j->back.scale = scale;
  j->back.offset = offset;
  return parallel(norm_chunks(&j->rows), back_chunk, j);
}

static int se_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  SeJob j = job_of(c);
  long N = j.rows.images, C = j.rows.channels;
  squeeze_excite_place(&j.se, (real *)tensor_data(c->saved[KEPT_GATE])); /* from here on only read */
  j.dy = grad_out(c, 0);
  if (c->needs_grad[INPUT] && !(j.dx = call_grad(c, INPUT, &j.dx_add))) return 0;
  if (c->needs_grad[RESIDUAL] && !(j.back.dr = call_grad(c, RESIDUAL, &j.back.dr_add))) return 0;
  j.back.dx = j.dx;
  j.back.dx_add = j.dx_add;
  size_t sums = (size_t)((norm_chunks(&j.rows) * SE_SUMS + 2) * C) * sizeof(double),
         lines = (size_t)((3 + 3 * N) * C) * sizeof(real);
  real *line = call_scratch(c, lines);
  double *total = line ? call_scratch(c, sums) : NULL;
  j.partial = total ? total + 2 * C : NULL;
  return total && back(c, &j, line, total);
}

static double se_flops(const Call *c) {
  return 4.0 * (double)c->in[INPUT]->shape[0] * (double)c->in[W1]->size;
}

static int se_sample(Call *c, Random *r, int variant) {
  static const struct {
    int training, silu, residual;
    long squeezed, shape[4];
  } samples[] = {{1, 0, 1, 3, {2, 3, 3, 5}},  {1, 1, 0, 2, {2, 3, 3, 5}}, {1, 0, 0, 2, {3, 2, 2, 4}},
                 {0, 0, 1, 2, {2, 3, 2, 3}},  {0, 1, 0, 1, {1, 3, 3, 4}}, {1, 1, 0, 2, {1, 2, 1, 17}},
                 {1, 0, 1, 1, {1, 1, 1, 1}},  {1, 1, 0, 2, {0, 2, 2, 3}}, {1, 0, 1, 2, {0, 2, 2, 3}},
                 {0, 0, 0, 4, {3, 5, 3, 16}}, {1, 1, 0, 2, {2, 3, 7, 3}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  const long *s = samples[variant].shape, S = samples[variant].squeezed;
  sample_choice(c, ACT, samples[variant].silu);
  return REALNAME(norm_sample_inputs)(c, r, variant, samples[variant].training, 4, s) &&
         sample_input(c, W1, r, 4, SHAPE(S, 1, 1, s[3])) && sample_input(c, B1, r, 1, SHAPE(S)) &&
         sample_input(c, W2, r, 4, SHAPE(s[3], 1, 1, S)) && sample_input(c, B2, r, 1, SHAPE(s[3])) &&
         (!samples[variant].residual || sample_input(c, RESIDUAL, r, 4, s));
}

DESCRIPTOR op_batch_norm_se = {
    .name = "batch_norm_se",
    .args = "input weight bias running_mean running_var w1 b1 w2 b2 residual? training=false momentum=0.1 "
            "eps=1e-5 act:relu|silu=relu",
    .doc = "batch norm with squeeze and excitation, gate = sigmoid(w2 act(w1 mean(u) + b1) + b2); relu: "
           "relu(u gate + residual), u = batch norm; silu: u gate, u = silu(batch norm)",
    .shape = se_shape,
    .sample = se_sample,
    .full = (1 << RESIDUAL) - 1 - (1 << INPUT),
    .no_grad = 1 << RUNNING_MEAN | 1 << RUNNING_VAR,
    .mutates = 1 << RUNNING_MEAN | 1 << RUNNING_VAR,
    .mutating = REALNAME(norm_training),
    .flops = se_flops,
    .shape_only = 1 << RUNNING_MEAN | 1 << RUNNING_VAR | 1 << B1 | 1 << B2 | 1 << RESIDUAL};
const Kernel REALNAME(cpu_batch_norm_se) = {
    .forward = se_forward, .backward = se_backward, .recompute = se_recompute};
