/* The embedding loss of the method: three-way contrast of every pixel's embedding with the class means.
 *
 *   e = Z / |Z|;  u_c = scale · mean_c(e) / |mean_c(e)|      (unnormalised: e = Z, u_c = mean_c(Z))
 *   l(p) = log(sum_j exp(u_j . e(p)) + eps) - log(exp(u_c . e(p)) + eps),  c the class of p, j the classes
 * present
 *
 * mean over the pixels of each class, over the classes present, over the images that have any. Means are per
 * image or over the batch. Three passes over Z: means, loss, and (backward) gradient; gradients flow through
 * the means. */
#include "ops/lanes.h"
#include "ops/op_kit.h"

enum { CLASSES = 3, ROWS = 2048 };
enum { NORMALISE, SCALE, EPSILON, BATCH_MEANS };
#define TINY ((real)1e-8) /* norms below it count as it */

typedef struct Job {
  long n, pixels, f, groups; /* groups: sets of means, n or 1 */
  const real *Z;
  const int32_t *label;
  bool normalise;
  double scale, epsilon;
  double *sums;         /* per chunk: CLASSES rows of f, then CLASSES counts */
  const double *counts; /* per image and class: pixels */
  const real *u;        /* per group and class: f numbers */
  const double *weight; /* per image and class: of one pixel in the loss; 0: absent */
  double *loss;         /* per chunk */
  const real *dm;       /* per group and class: gradient of the mean, over its count */
  real *dZ;
  bool add;
  real gradient; /* of the loss */
} Job;

static long per_image(const Job *j) { return (j->pixels + ROWS - 1) / ROWS; }
static size_t row_of(const Job *j) { return (size_t)(CLASSES * j->f + CLASSES); }
static long group_of(const Job *j, long image) { return j->groups == 1 ? 0 : image; }

typedef struct Range {
  long image, begin, end; /* pixels of the image */
} Range;

static Range range_of(const Job *j, long c) {
  long image = c / per_image(j), begin = c % per_image(j) * ROWS;
  return (Range){image, begin, least(begin + ROWS, j->pixels)};
}

/* 1 / |z|, or 1 where nothing is normalised. */
static real inverse_norm(const Job *j, const real *z) {
  if (!j->normalise) return 1;
  real norm = RM(sqrt)(row_dot(z, z, j->f));
  return 1 / (norm > TINY ? norm : TINY);
}

static int class_of(const Job *j, const Range *r, long p) {
  int32_t l = j->label[r->image * j->pixels + p];
  return l >= 1 && l <= CLASSES ? l - 1 : -1;
}

/* ---- pass 1: sums of e by class ---- */
static int sum_chunk(void *arg, long c) {
  const Job *j = arg;
  Range r = range_of(j, c);
  double *out = j->sums + (size_t)c * row_of(j);
  real *part = scratch(0, sizeof(real) * (size_t)(CLASSES * j->f));
  long count[CLASSES] = {0};
  if (!part) return 0;
  memset(part, 0, sizeof(real) * (size_t)(CLASSES * j->f));
  for (long p = r.begin; p < r.end; p++) {
    int k = class_of(j, &r, p);
    if (k < 0) continue;
    const real *z = j->Z + (r.image * j->pixels + p) * j->f;
    row_add(part + k * j->f, z, inverse_norm(j, z), j->f);
    count[k]++;
  }
  for (long i = 0; i < CLASSES * j->f; i++) out[i] = part[i];
  for (int k = 0; k < CLASSES; k++) out[CLASSES * j->f + k] = (double)count[k];
  return 1;
}

/* The loss of a pixel of class k and its slopes along the logits; classes without a mean have u = NULL. */
static real contrast(const Job *j, const real *const *u, const real *z, real inverse, int k, real *slope) {
  real logit[CLASSES], top = RM(log)((real)j->epsilon), sum;
  for (int i = 0; i < CLASSES; i++) {
    logit[i] = u[i] ? row_dot(u[i], z, j->f) * inverse : -INFINITY;
    if (logit[i] > top) top = logit[i];
  }
  real tiny = RM(exp)(RM(log)((real)j->epsilon) - top), e[CLASSES]; /* all relative to exp(top) */
  sum = tiny;
  for (int i = 0; i < CLASSES; i++) sum += e[i] = u[i] ? RM(exp)(logit[i] - top) : 0;
  real own = e[k] + tiny;
  for (int i = 0; i < CLASSES; i++) slope[i] = e[i] / sum - (i == k ? e[k] / own : 0);
  return RM(log)(sum) - RM(log)(own);
}

static void means_of(const Job *j, long image, const real **u, const double *present) {
  long g = group_of(j, image);
  for (int k = 0; k < CLASSES; k++)
    u[k] = present[g * CLASSES + k] > 0 ? j->u + (g * CLASSES + k) * j->f : NULL;
}

/* ---- pass 2: the loss, and the slopes of the means (in sums) ---- */
typedef struct LossJob {
  Job j;
  const double *group_counts; /* per group and class */
  bool slopes;
} LossJob;

static int loss_chunk(void *arg, long c) {
  const LossJob *l = arg;
  const Job *j = &l->j;
  Range r = range_of(j, c);
  const real *u[CLASSES];
  means_of(j, r.image, u, l->group_counts);
  real *part = scratch(0, sizeof(real) * (size_t)(CLASSES * j->f)), slope[CLASSES];
  double loss = 0;
  if (!part) return 0;
  memset(part, 0, sizeof(real) * (size_t)(CLASSES * j->f));
  for (long p = r.begin; p < r.end; p++) {
    int k = class_of(j, &r, p);
    if (k < 0) continue;
    const real *z = j->Z + (r.image * j->pixels + p) * j->f;
    real inverse = inverse_norm(j, z), w = (real)j->weight[r.image * CLASSES + k];
    loss += (double)w * contrast(j, u, z, inverse, k, slope);
    for (int i = 0; l->slopes && i < CLASSES; i++)
      if (u[i]) row_add(part + i * j->f, z, w * slope[i] * inverse, j->f);
  }
  j->loss[c] = loss;
  if (l->slopes)
    for (long i = 0; i < CLASSES * j->f; i++) j->sums[(size_t)c * row_of(j) + (size_t)i] = part[i];
  return 1;
}

/* ---- pass 3: the gradient ---- */
static int gradient_chunk(void *arg, long c) {
  const LossJob *l = arg;
  const Job *j = &l->j;
  Range r = range_of(j, c);
  const real *u[CLASSES];
  means_of(j, r.image, u, l->group_counts);
  real slope[CLASSES], *de = scratch(0, sizeof(real) * (size_t)j->f);
  if (!de) return 0;
  const real *dm = j->dm + group_of(j, r.image) * CLASSES * j->f;
  for (long p = r.begin; p < r.end; p++) {
    long at = (r.image * j->pixels + p) * j->f;
    real *dz = j->dZ + at;
    const real *z = j->Z + at;
    int k = class_of(j, &r, p);
    if (!j->add) memset(dz, 0, sizeof(real) * (size_t)j->f);
    if (k < 0) continue;
    real inverse = inverse_norm(j, z), w = (real)j->weight[r.image * CLASSES + k];
    contrast(j, u, z, inverse, k, slope);
    memcpy(de, dm + k * j->f, sizeof(real) * (size_t)j->f);
    for (int i = 0; i < CLASSES; i++)
      if (u[i]) row_add(de, u[i], w * slope[i], j->f);
    real g = j->gradient * inverse; /* de/dZ = (1 - e eᵀ) / |Z| */
    if (j->normalise && inverse < 1 / TINY)
      row_add(dz, z, -g * inverse * inverse * row_dot(de, z, j->f), j->f);
    row_add(dz, de, g, j->f);
  }
  return 1;
}

/* ---- the call ---- */

static int loss_shape(Call *c) {
  const Tensor *Z = c->in[0], *l = c->in[1];
  if (!want_real(c, 0) || !call_want_rank(c, 0, 4) || !call_want_dtype(c, 1, I32)) return 0;
  if (l->rank != 3 || memcmp(l->shape, Z->shape, sizeof(long) * 3))
    return call_fail(c, "label: expected %s, found %s", shape_text(3, Z->shape), tensor_text(l));
  if (!(c->arg[EPSILON].n > 0))
    return call_fail(c, "epsilon: expected more than 0, found %g", c->arg[EPSILON].n);
  return call_out(c, 0, REAL_DTYPE, 0, NULL);
}

static void job_start(const Call *c, Job *j) {
  const Tensor *Z = c->in[0];
  *j = (Job){.n = Z->shape[0],
             .pixels = Z->shape[1] * Z->shape[2],
             .f = Z->shape[3],
             .groups = c->arg[BATCH_MEANS].n != 0 ? 1 : Z->shape[0],
             .Z = input(c, 0),
             .label = tensor_data(c->in[1]),
             .normalise = c->arg[NORMALISE].n != 0,
             .scale = c->arg[NORMALISE].n != 0 ? c->arg[SCALE].n : 1,
             .epsilon = c->arg[EPSILON].n};
}

/* Adds the chunks of each group up, in order: `rows` of CLASSES·f + CLASSES numbers a group. */
static void add_chunks(const Job *j, double *rows) {
  size_t width = row_of(j);
  memset(rows, 0, sizeof(double) * width * (size_t)j->groups);
  for (long c = 0; c < per_image(j) * j->n; c++) {
    double *row = rows + (size_t)group_of(j, c / per_image(j)) * width;
    for (size_t i = 0; i < width; i++) row[i] += j->sums[(size_t)c * width + i];
  }
}

/* Counts per image, and from them the weight of a pixel: 1 / (images · classes present · pixels of the
 * class). */
static void weigh(const Job *j, double *weight) {
  double images = 0;
  for (long i = 0; i < j->n; i++) {
    double *w = weight + i * CLASSES, present = 0;
    for (int k = 0; k < CLASSES; k++) {
      w[k] = 0;
      for (long c = 0; c < per_image(j); c++)
        w[k] += j->sums[(size_t)(i * per_image(j) + c) * row_of(j) + (size_t)(CLASSES * j->f + k)];
      present += w[k] > 0;
    }
    images += present > 0;
    for (int k = 0; k < CLASSES; k++) w[k] = w[k] > 0 ? 1 / (w[k] * present) : 0;
  }
  for (long i = 0; i < j->n * CLASSES && images > 0; i++) weight[i] /= images;
}

/* u from the sums of each group: the mean, normalised and scaled; norms of the means are kept for backward.
 */
static void make_means(const Job *j, const double *rows, real *u, double *norms, double *counts) {
  for (long g = 0; g < j->groups; g++)
    for (int k = 0; k < CLASSES; k++) {
      const double *sum = rows + (size_t)g * row_of(j) + (size_t)(k * j->f);
      double count = rows[(size_t)g * row_of(j) + (size_t)(CLASSES * j->f + k)], norm = 0;
      counts[g * CLASSES + k] = count;
      for (long i = 0; i < j->f; i++)
        norm += sum[i] / (count > 0 ? count : 1) * (sum[i] / (count > 0 ? count : 1));
      norm = sqrt(norm) > TINY ? sqrt(norm) : TINY;
      norms[g * CLASSES + k] = norm;
      for (long i = 0; i < j->f && count > 0; i++)
        u[(g * CLASSES + k) * j->f + i] = (real)(sum[i] / count * (j->normalise ? j->scale / norm : 1));
    }
}

/* From the slopes along u (rows) to those along the mean, over the count of its pixels. */
static void through_means(const Job *j, const double *rows, const double *norms, const double *counts,
                          real *dm) {
  for (long g = 0; g < j->groups; g++)
    for (int k = 0; k < CLASSES; k++) {
      long at = (g * CLASSES + k) * j->f;
      const double *du = rows + (size_t)g * row_of(j) + (size_t)(k * j->f);
      double count = counts[g * CLASSES + k], along = 0;
      for (long i = 0; i < j->f && count > 0; i++) along += du[i] * (double)j->u[at + i] / j->scale;
      for (long i = 0; i < j->f; i++) {
        double d = count > 0 ? du[i] / count : 0;
        if (count > 0 && j->normalise)
          d = (du[i] - along * (double)j->u[at + i] / j->scale) * j->scale / (norms[g * CLASSES + k] * count);
        dm[at + i] = (real)d;
      }
    }
}

enum { SAVED_U, SAVED_DM, SAVED_WEIGHT, SAVED_COUNTS };

static int loss_forward(Call *c) {
  LossJob l = {.slopes = c->training};
  Job *j = &l.j;
  job_start(c, j);
  real *y = output(c, 0);
  long chunks = per_image(j) * j->n, means = j->groups * CLASSES;
  size_t bytes = sizeof(double) * (row_of(j) * (size_t)(chunks + j->groups) + (size_t)(chunks + means));
  Tensor *u = call_save_new(c, SAVED_U, REAL_DTYPE, 2, SHAPE(means, j->f));
  Tensor *dm = u ? call_save_new(c, SAVED_DM, REAL_DTYPE, 2, SHAPE(means, j->f)) : NULL;
  Tensor *weight = dm ? call_save_new(c, SAVED_WEIGHT, F64, 1, SHAPE(j->n * CLASSES)) : NULL;
  Tensor *counts = weight ? call_save_new(c, SAVED_COUNTS, F64, 1, SHAPE(means)) : NULL;
  double *block = counts && y ? memory_take(bytes) : NULL;
  if (!block) return 0;
  double *rows = block + row_of(j) * (size_t)chunks, *norms = rows + row_of(j) * (size_t)j->groups;
  j->sums = block;
  j->loss = norms + means;
  j->u = u->storage->data;
  j->weight = weight->storage->data;
  l.group_counts = counts->storage->data;
  int ok = parallel(chunks, sum_chunk, j);
  if (ok) {
    add_chunks(j, rows);
    weigh(j, weight->storage->data);
    make_means(j, rows, u->storage->data, norms, counts->storage->data);
    ok = parallel(chunks, loss_chunk, &l);
  }
  if (ok) {
    double loss = 0;
    for (long i = 0; i < chunks; i++) loss += j->loss[i];
    *y = (real)loss;
    if (l.slopes) {
      add_chunks(j, rows);
      through_means(j, rows, norms, counts->storage->data, dm->storage->data);
    }
  }
  memory_give(block, bytes);
  return ok;
}

static int loss_backward(Call *c) {
  LossJob l = {0};
  Job *j = &l.j;
  const real *dy = arrived(c, 0);
  if (!dy || !c->want[0]) return 1;
  job_start(c, j);
  j->u = saved(c, SAVED_U);
  j->dm = saved(c, SAVED_DM);
  j->weight = tensor_data(c->saved[SAVED_WEIGHT]);
  l.group_counts = tensor_data(c->saved[SAVED_COUNTS]);
  j->gradient = *dy;
  j->dZ = call_grad(c, 0, &j->add);
  return j->dZ && parallel(per_image(j) * j->n, gradient_chunk, &l);
}

static int loss_sample(Call *c, Random *r, int variant) {
  static const long sizes[][4] = {{2, 3, 4, 5}, {1, 5, 3, 9}, {3, 4, 4, 16},
                                  {1, 1, 1, 3}, {2, 6, 7, 8}, {0, 2, 2, 4}};
  if (variant >= (int)(sizeof sizes / sizeof *sizes)) return -1;
  long n = sizes[variant][0], h = sizes[variant][1], w = sizes[variant][2], f = sizes[variant][3];
  if (!sample_input(c, 0, r, 4, SHAPE(n, h, w, f)) || !(c->in[1] = tensor_new(I32, 3, SHAPE(n, h, w))))
    return 0;
  c->nin = 2;
  for (long i = 0; i < n * h * w;
       i++) /* the second image of variant 4 has no object, that of 2 nothing at all */
    ((int32_t *)c->in[1]->storage->data)[i] = variant == 2 && i / (h * w) == 1 ? 0
                                              : variant == 4 && i / (h * w) == 1
                                                  ? 1 + 2 * (int32_t)(i & 1)
                                                  : (int32_t)random_below(r, 4);
  sample_arg(c, NORMALISE, variant != 1);
  sample_arg(c, SCALE, variant == 2 ? 3 : 10);
  sample_arg(c, BATCH_MEANS, variant >= 4);
  return 1;
}

const Op REALNAME(op_embedding_loss) = {
    .name = "embedding_loss",
    .args = "*Z label normalise=true scale=10 epsilon=1e-3 batch_means=false",
    .doc = "three-way contrast of embeddings Z (N,H,W,F) with the means of their classes; label: N,H,W "
           "int32, 1 person, "
           "2 object, 3 background, 0 ignored",
    .shape = loss_shape,
    .forward = loss_forward,
    .backward = loss_backward,
    .sample = loss_sample};
