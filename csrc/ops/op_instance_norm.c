/* instance_norm: every channel of every image with mean 0 and variance 1 over
 * its pixels (Ulyanov, Vedaldi, Lempitsky, 2016), times weight, plus bias, and
 * the activation that follows. The passes are batch norm's, a line of scales
 * and shifts for each image. */
#include "ops/norm.h"

enum { OWN_EPS, OWN_ACT };

typedef struct InstanceJob {
  NormRows rows;
  const real *x, *scale, *shift; /* scale, shift: images x channels */
  real *y;
  NormBack back;   /* its lines are the first image's */
  double *partial; /* chunks x 2 x channels */
  Activation act;
} InstanceJob;

static InstanceJob job_of(const Call *c) {
  return (InstanceJob){.rows = REALNAME(norm_rows)(c, c->in[INPUT]->shape[0]),
                       .x = input(c, INPUT),
                       .act = (Activation)c->arg[OWN_ACT].list[0]};
}

static int instance_shape(Call *c) {
  static const char *const names[] = {"input", "weight", "bias"};
  const Tensor *x = c->in[INPUT];
  if (!want_real(c, INPUT) || !call_want_rank(c, INPUT, 4)) return 0;
  for (int i = WEIGHT; i <= BIAS; i++) {
    const Tensor *t = c->in[i];
    if (!t) continue;
    if (!want_real(c, i)) return 0;
    if (t->rank != 1 || t->size != x->shape[3])
      return call_fail(c, "%s: expected %ld numbers, found %s", names[i], x->shape[3], tensor_text(t));
  }
  return call_out(c, 0, c->dtype, 4, x->shape);
}

/* saved[KEPT_…]: images x channels twice each. */
static int prepare(Call *c, InstanceJob *j) {
  long N = j->rows.images, C = j->rows.channels, n = N * C;
  Tensor *kept = call_save_new(c, KEPT_STATISTICS, F64, 3, SHAPE(2, N, C)),
         *lines = kept ? call_save_new(c, KEPT_LINE, c->dtype, 3, SHAPE(2, N, C)) : NULL;
  double *mean = lines ? tensor_write(kept) : NULL, *inverse = mean ? mean + n : NULL;
  real *line = mean ? tensor_write(lines) : NULL;
  if (!line || !REALNAME(norm_image_moments)(c, &j->rows, mean, inverse)) return 0;
  const real *weight = input(c, WEIGHT), *bias = input(c, BIAS);
  for (long i = 0; i < n; i++) {
    inverse[i] = 1 / sqrt(inverse[i] / (double)j->rows.rows + c->arg[OWN_EPS].n);
    double scale = (weight ? (double)weight[i % C] : 1) * inverse[i];
    line[i] = (real)scale;
    line[n + i] = (real)((bias ? (double)bias[i % C] : 0) - mean[i] * scale);
  }
  return 1;
}

static int apply_chunk(void *arg, long chunk) {
  const InstanceJob *j = arg;
  long C = j->rows.channels, at = norm_first(&j->rows, chunk) * C, image = norm_image(&j->rows, chunk) * C;
  HOT_CALL(norm_apply, norm_count(&j->rows, chunk), C, j->x + at, j->scale + image, j->shift + image, NULL,
           j->act, j->y + at);
  return 1;
}

static int apply(Call *c, InstanceJob *j) {
  j->scale = saved(c, KEPT_LINE);
  j->shift = j->scale + j->rows.images * j->rows.channels;
  j->y = output(c, 0);
  return j->y && parallel(norm_chunks(&j->rows), apply_chunk, j);
}

static int instance_forward(Call *c) {
  InstanceJob j = job_of(c);
  c->recompute = true;
  return prepare(c, &j) && apply(c, &j);
}

static int instance_recompute(Call *c) {
  InstanceJob j = job_of(c);
  return apply(c, &j);
}

/* ---- backward ---- */
static NormBack back_of(const InstanceJob *j, long image) {
  NormBack b = j->back;
  long at = image * j->rows.channels;
  b.mean += at, b.scale += at, b.shift += at, b.slope += at, b.offset += at;
  return b;
}

static int sums_chunk(void *arg, long chunk) {
  const InstanceJob *j = arg;
  long C = j->rows.channels;
  double *p = j->partial + chunk * 2 * C;
  NormBack b = back_of(j, norm_image(&j->rows, chunk));
  memset(p, 0, (size_t)(2 * C) * sizeof *p);
  HOT_CALL(norm_sums, norm_first(&j->rows, chunk), norm_count(&j->rows, chunk), C, &b, p, p + C);
  return 1;
}

static int back_chunk(void *arg, long chunk) {
  const InstanceJob *j = arg;
  NormBack b = back_of(j, norm_image(&j->rows, chunk));
  HOT_CALL(norm_back, norm_first(&j->rows, chunk), norm_count(&j->rows, chunk), j->rows.channels, &b);
  return 1;
}

/* From the chunks' sums those of each image, in the place of its first chunk's;
 * from them slope and offset, and the gradients of weight and bias. */
static int gradients(Call *c, InstanceJob *j, real *slope, real *offset) {
  long N = j->rows.images, C = j->rows.channels, blocks = j->rows.blocks;
  const double *inverse = (const double *)tensor_data(c->saved[KEPT_STATISTICS]) + N * C;
  real *grad[NORM_IN] = {NULL};
  for (int i = WEIGHT; i <= BIAS; i++) {
    bool add;
    if (!c->needs_grad[i]) continue;
    if (!(grad[i] = call_grad(c, i, &add))) return 0;
    if (!add) memset(grad[i], 0, (size_t)C * sizeof(real));
  }
  for (long image = 0; image < N; image++) {
    double *s = j->partial + image * blocks * 2 * C, share = 1 / (double)j->rows.rows;
    for (long k = 1; k < blocks; k++)
      for (long i = 0; i < 2 * C; i++) s[i] += s[k * 2 * C + i];
    for (long i = 0, at = image * C; i < C; i++, at++) {
      double scale = (double)j->back.scale[at];
      slope[at] = (real)(-share * scale * inverse[at] * inverse[at] * s[C + i]);
      offset[at] = (real)(-share * scale * s[i]);
      if (grad[WEIGHT]) grad[WEIGHT][i] += (real)(s[C + i] * inverse[at]);
      if (grad[BIAS]) grad[BIAS][i] += (real)s[i];
    }
  }
  return 1;
}

static int instance_backward(Call *c) {
  InstanceJob j = job_of(c);
  NormBack *b = &j.back;
  long n = j.rows.images * j.rows.channels;
  if (!c->grad_out[0]) return 1;
  if (c->needs_grad[INPUT] && !(b->dx = call_grad(c, INPUT, &b->dx_add))) return 0;
  real *line = call_scratch(c, (size_t)(3 * n) * sizeof *line); /* mean, slope, offset */
  j.partial =
      line ? call_scratch(c, (size_t)(norm_chunks(&j.rows) * 2 * j.rows.channels) * sizeof(double)) : NULL;
  if (!j.partial) return 0;
  const double *mean = tensor_data(c->saved[KEPT_STATISTICS]);
  for (long i = 0; i < n; i++) line[i] = (real)mean[i];
  b->x = j.x;
  b->dy = grad_out(c, 0);
  b->act = j.act;
  b->mean = line;
  b->scale = saved(c, KEPT_LINE);
  b->shift = b->scale + n;
  b->slope = line + n;
  b->offset = line + 2 * n;
  return parallel(norm_chunks(&j.rows), sums_chunk, &j) && gradients(c, &j, line + n, line + 2 * n) &&
         (!b->dx || parallel(norm_chunks(&j.rows), back_chunk, &j));
}

static int instance_sample(Call *c, Random *r, int variant) {
  static const struct {
    int weight, bias, act;
    long shape[4];
  } samples[] = {{1, 1, 0, {2, 3, 3, 5}}, {0, 0, 0, {2, 4, 3, 8}},  {1, 0, 1, {1, 3, 4, 3}},
                 {0, 1, 2, {3, 2, 3, 9}}, {1, 1, 3, {2, 3, 2, 17}}, {1, 1, 0, {0, 2, 2, 3}},
                 {1, 1, 0, {1, 0, 2, 3}}, {0, 0, 0, {2, 1, 2, 4}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  const long *s = samples[variant].shape;
  sample_choice(c, OWN_ACT, samples[variant].act);
  return sample_input(c, INPUT, r, 4, s) &&
         (!samples[variant].weight || sample_input(c, WEIGHT, r, 1, s + 3)) &&
         (!samples[variant].bias || sample_input(c, BIAS, r, 1, s + 3));
}

DESCRIPTOR op_instance_norm = {.name = "instance_norm",
                               .args = "input weight? bias? eps=1e-5 act:none|relu|relu6|silu=none",
                               .doc = "act(every channel of every image N,H,W,C with mean 0 and variance "
                                      "1 over its pixels, times weight, plus "
                                      "bias)",
                               .shape = instance_shape,
                               .sample = instance_sample,
                               .full = 1 << WEIGHT | 1 << BIAS,
                               .shape_only = 1 << BIAS};
const Kernel REALNAME(cpu_instance_norm) = {
    .forward = instance_forward, .backward = instance_backward, .recompute = instance_recompute};
