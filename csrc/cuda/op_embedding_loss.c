/* embedding_loss (ops/op_embedding_loss.c says what it is): forward reads Z twice, for the class means and for the
 * logits; backward once: three launches. */
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
  return (Contrast){.rows = rows_cut(s[0], s[1] * s[2], s[3], c->dtype),
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
  size_t numbers = (size_t)(rows_sums(n, CLASSES) + classes * n->channels + 2 * classes + 2 * sets +
                            blocks * (CLASSES + 1));
  j.counters = cuda_counters(c, rows_counters(n));
  j.partial = j.counters ? call_scratch(c, numbers * sizeof *j.partial) : NULL;
  if (!j.partial || !cuda_refusals(c, REFUSED, &j.refusals)) return 0;
  if (!n->images || !n->channels) return c->device->fill(c->device, y, NULL, sizeof *y, 1);
  j.total = j.partial + rows_sums(n, CLASSES);
  j.weight = j.total + classes * n->channels;
  j.numbers = j.weight + classes;
  j.count = j.numbers + classes;
  j.length = j.count + sets;
  j.counts = j.length + sets;
  j.losses = j.counts + blocks * CLASSES;
  return contrast_sums_on(s, &j) && contrast_on(s, &j, y);
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
