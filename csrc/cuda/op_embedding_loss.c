/* embedding_loss (ops/op_embedding_loss.c says what it is): forward reads Z twice, for the class means and for the
 * logits; backward once. */
#include "cuda/op_kit.h"
#include "cuda/refusals.h"

#include "cuda/kernels/contrast.h"
#include "ops/bodies_contrast.h"

enum { Z, LABEL };
enum { NORMALISE, SCALE, EPSILON, BATCH };
enum { INVERSE, LOGITS, MEANS, PULLS, REFUSED }; /* saved */

static Contrast loss_of(const Call *c) {
  const long *s = c->in[Z]->shape;
  double epsilon = c->arg[EPSILON].n;
  return (Contrast){.rows = rows_cut(s[0], s[1] * s[2], s[3]),
                    .groups = c->arg[BATCH].n != 0 ? 1 : s[0],
                    .normalise = c->arg[NORMALISE].n != 0,
                    .scale = c->arg[SCALE].n,
                    .log_eps = epsilon > 0 ? (float)log(epsilon) : -1e30f,
                    .z = input(c, Z),
                    .dtype = c->dtype,
                    .label = input(c, LABEL)};
}

/* saved[…] of so many numbers. NULL with a message. */
static float *keep(Call *c, int i, long n) {
  Tensor *t = call_save_new(c, i, F32, 1, &n);
  return t ? tensor_write(t) : NULL;
}

/* The parts' sums of every group. */
static int group_sums(Call *c, const Contrast *j, const float *partial, float *total) {
  const Rows *n = &j->rows;
  long parts = j->groups == 1 ? n->images * n->parts : n->parts;
  return cuda_sum_middle(c, F32, partial, j->groups, parts, CLASSES * n->channels, 1, F32, total, false);
}

static int loss_forward(Call *c) {
  Contrast j = loss_of(c);
  const Rows *n = &j.rows;
  CudaStream s = stream_of(c);
  long all = n->images * n->rows, sets = j.groups * CLASSES, classes = n->images * CLASSES,
       blocks = n->images * n->parts;
  float *y = output(c, 0);
  if (!y || !(j.inverse = keep(c, INVERSE, j.normalise ? all : 0)) ||
      !(j.means = keep(c, MEANS, sets * n->channels)) ||
      (c->training &&
       (!(j.logits = keep(c, LOGITS, CLASSES * all)) || !(j.pulls = keep(c, PULLS, sets * n->channels)))))
    return 0;
  size_t numbers =
      (size_t)(rows_sums(n, CLASSES) + sets * n->channels + 2 * classes + 2 * sets + blocks * (CLASSES + 1));
  float *partial = call_scratch(c, numbers * sizeof *partial);
  if (!partial || !cuda_refusals(c, REFUSED, &j.refusals)) return 0;
  float *total = partial + rows_sums(n, CLASSES), *counts, *losses;
  j.weight = total + sets * n->channels;
  j.numbers = j.weight + classes;
  j.count = j.numbers + classes;
  j.length = j.count + sets;
  counts = j.length + sets;
  losses = counts + blocks * CLASSES;
  return contrast_sums_on(s, &j, partial, counts) && group_sums(c, &j, partial, total) &&
         contrast_means_on(s, &j, counts, total) && contrast_on(s, &j, partial, losses) &&
         (!c->training || group_sums(c, &j, partial, total)) && contrast_end_on(s, &j, losses, total, y);
}

static int loss_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  Contrast j = loss_of(c);
  bool add;
  j.inverse = (float *)saved(c, INVERSE); /* from here on only read */
  j.logits = (float *)saved(c, LOGITS);
  j.means = (float *)saved(c, MEANS);
  j.pulls = (float *)saved(c, PULLS);
  j.refusals.call = (int32_t *)tensor_data(c->saved[REFUSED]);
  float *dz = call_grad(c, Z, &add);
  return dz && contrast_back_on(stream_of(c), &j, grad_out(c, 0), dz, add);
}

const Kernel cuda_embedding_loss = {.forward = loss_forward, .backward = loss_backward};
