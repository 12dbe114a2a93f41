/* softmax and log_softmax over the last dimension, and cross_entropy, the loss of a classifier, which never
 * forms the probabilities. Rows are cut into chunks; the loss adds the chunks' sums in order. */
#include "ops/op_kit.h"

#include "ops/bodies_softmax.h"
#include "ops/refusal.h"

enum { LOGITS, LABEL, ELEMENTS = 1 << 13 };
enum { PROBABILITY, LOGARITHM }; /* forms */

typedef struct Rows {
  long rows, c, block; /* block: rows per chunk */
  const real *x, *y, *dy, *label, *lse;
  real *to;
  double *partial; /* chunks x (sum of the losses, number of labels) */
  real scale;
  bool logarithm, add;
} Rows;

static Rows rows_of(const Call *c) {
  const Tensor *x = c->in[0];
  long channels = x->shape[x->rank - 1];
  Rows j = {.rows = channels ? x->size / channels : 0, .c = channels};
  j.block = channels && channels < ELEMENTS ? ELEMENTS / channels : 1;
  j.logarithm = c->op->form == LOGARITHM;
  return j;
}

static long chunks_of(const Rows *j) { return (j->rows + j->block - 1) / j->block; }

static int want_rows(const Call *c) {
  return want_real(c, 0) &&
         (c->in[0]->rank > 0 || call_fail(c, "input: expected at least 1 dimension, found a scalar"));
}

/* ---- softmax, log_softmax ---- */
static int softmax_shape(Call *c) {
  return want_rows(c) && call_out(c, 0, c->dtype, c->in[0]->rank, c->in[0]->shape);
}

static int softmax_chunk(void *arg, long chunk) {
  const Rows *j = arg;
  long at = chunk * j->block, n = least(j->block, j->rows - at);
  HOT_CALL(rows_softmax, n, j->c, j->x + at * j->c, j->to + at * j->c, j->logarithm);
  return 1;
}

static int softmax_forward(Call *c) {
  Rows j = rows_of(c);
  j.x = input(c, 0);
  j.to = output(c, 0);
  return j.to && parallel(chunks_of(&j), softmax_chunk, &j) && (!c->training || call_save(c, 0, c->out[0]));
}

static int softmax_back_chunk(void *arg, long chunk) {
  const Rows *j = arg;
  long at = chunk * j->block, n = least(j->block, j->rows - at);
  HOT_CALL(rows_softmax_back, n, j->c, j->y + at * j->c, j->dy + at * j->c, j->to + at * j->c, j->add,
           j->logarithm);
  return 1;
}

static int softmax_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  Rows j = rows_of(c);
  j.y = saved(c, 0);
  j.dy = grad_out(c, 0);
  j.to = call_grad(c, 0, &j.add);
  return j.to && parallel(chunks_of(&j), softmax_back_chunk, &j);
}

static int softmax_sample(Call *c, Random *r, int variant) {
  switch (variant) {
  case 0: return sample_input(c, 0, r, 4, SHAPE(2, 3, 2, 5));
  case 1: return sample_input(c, 0, r, 1, SHAPE(33));
  case 2: return sample_input(c, 0, r, 2, SHAPE(0, 4));
  case 3: return sample_input(c, 0, r, 2, SHAPE(7, 1));
  case 4: return sample_input(c, 0, r, 2, SHAPE(3, 0));
  default: return -1;
  }
}

/* ---- cross_entropy ---- */
static int entropy_shape(Call *c) {
  const Tensor *x = c->in[LOGITS], *label = c->in[LABEL];
  if (!want_rows(c) || !want_real(c, LABEL)) return 0;
  if (label->rank != x->rank - 1 || memcmp(label->shape, x->shape, sizeof(long) * (size_t)label->rank))
    return call_fail(c, "label: expected %s like the logits without their last dimension, found %s",
                     shape_text(x->rank - 1, x->shape), tensor_text(label));
  return call_out(c, 0, call_total(c), 0, NULL);
}

static int entropy_chunk(void *arg, long chunk) {
  const Rows *j = arg;
  long at = chunk * j->block, n = least(j->block, j->rows - at);
  double *sum = j->partial + 2 * chunk;
  sum[0] = sum[1] = 0;
  HOT_CALL(rows_log_sum, n, j->c, j->x + at * j->c, j->to + at);
  for (long r = at; r < at + n; r++) {
    real l = j->label[r];
    long k = l >= 0 && l <= (real)j->c ? (long)l : -1;
    if (k < 0 || (real)k != l) return refuse_value(REFUSE_CLASS, (double)j->c, (double)l, 0);
    if (k == 0) continue;
    sum[0] += (double)(j->to[r] - j->x[r * j->c + k - 1]);
    sum[1]++;
  }
  return 1;
}

static int entropy_forward(Call *c) {
  Rows j = rows_of(c);
  long chunks = chunks_of(&j);
  size_t bytes = (size_t)chunks * 2 * sizeof(double);
  real *y = output(c, 0);
  Tensor *lse = call_save_new(c, 0, c->dtype, 1, &j.rows), *kept = call_save_new(c, 1, F64, 0, NULL);
  double *weight = kept ? tensor_write(kept) : NULL;
  if (!y || !lse || !weight || !(j.to = tensor_write(lse)) || !(j.partial = call_scratch(c, bytes))) return 0;
  j.x = input(c, LOGITS);
  j.label = input(c, LABEL);
  int ok = parallel(chunks, entropy_chunk, &j);
  double sum = 0, count = 0;
  for (long k = 0; k < chunks && ok; k++) sum += j.partial[2 * k], count += j.partial[2 * k + 1];
  *y = (real)(count > 0 ? sum / count : 0);
  *weight = count > 0 ? 1 / count : 0;
  return ok;
}

static int entropy_back_chunk(void *arg, long chunk) {
  const Rows *j = arg;
  long at = chunk * j->block, n = least(j->block, j->rows - at);
  HOT_CALL(rows_entropy_back, n, j->c, j->x + at * j->c, j->lse + at, j->label + at, j->scale,
           j->to + at * j->c, j->add);
  return 1;
}

static int entropy_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  Rows j = rows_of(c);
  j.x = input(c, LOGITS);
  j.label = input(c, LABEL);
  j.lse = saved(c, 0);
  j.scale = (real)((double)*grad_out(c, 0) * *(const double *)tensor_data(c->saved[1]));
  j.to = call_grad(c, LOGITS, &j.add);
  return j.to && parallel(chunks_of(&j), entropy_back_chunk, &j);
}

static int entropy_sample(Call *c, Random *r, int variant) {
  static const struct {
    int rank;
    long shape[3];
  } samples[] = {{2, {5, 4}}, {1, {20}}, {3, {2, 3, 3}}, {2, {0, 3}}, {2, {700, 2}}, {2, {3, 1}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  int rank = samples[variant].rank;
  const long *shape = samples[variant].shape;
  if (!sample_input(c, LOGITS, r, rank, shape) || !sample_input(c, LABEL, r, rank - 1, shape)) return 0;
  real *label = tensor_write(c->in[LABEL]);
  for (long i = 0; label && i < c->in[LABEL]->size; i++)
    label[i] = (real)random_below(r, shape[rank - 1] + 1);
  return label != NULL;
}

DESCRIPTOR op_softmax = {.name = "softmax",
                         .args = "input",
                         .doc = "exp(x) / sum exp(x) over the last dimension",
                         .shape = softmax_shape,
                         .sample = softmax_sample,
                         .shape_only = 1};
const Kernel REALNAME(cpu_softmax) = {.forward = softmax_forward, .backward = softmax_backward};
DESCRIPTOR op_log_softmax = {.name = "log_softmax",
                             .form = LOGARITHM,
                             .args = "input",
                             .doc = "x - log sum exp(x) over the last dimension",
                             .shape = softmax_shape,
                             .sample = softmax_sample,
                             .shape_only = 1};
const Kernel REALNAME(cpu_log_softmax) = {.forward = softmax_forward, .backward = softmax_backward};
DESCRIPTOR op_cross_entropy = {
    .name = "cross_entropy",
    .args = "logits label",
    .doc = "mean of -log softmax at the label; logits ...,C; label ... from 1, 0: ignored",
    .shape = entropy_shape,
    .full = 1 << LABEL,
    .no_grad = 1 << LABEL,
    .sample = entropy_sample};
const Kernel REALNAME(cpu_cross_entropy) = {.forward = entropy_forward, .backward = entropy_backward};
