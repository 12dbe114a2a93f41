/* The embedding loss: 3-way contrast of every pixel's embedding with the mean embeddings of the classes
 * person, object, background. For a pixel of class c, with e its embedding (divided by its length if
 * `normalise`) and z_c the class means (then normalised and multiplied by `scale`):
 *
 *   - log((exp(z_c . e) + eps) / (sum over the classes present of exp(z_c' . e) + eps))
 *
 * mean over the pixels of a class, over the image's classes, over the images that have any. Means are of one
 * image, or of the whole batch; gradients flow through them. Forward also computes the derivatives by the
 * logits and by the means, so backward reads Z once. */
#include "ops/op_kit.h"

#include "ops/bodies_contrast.h"
#include "ops/bodies_rows.h"
#include "ops/refusal.h"

enum { Z, LABEL, PIXELS = 256 };
enum { NORMALISE, SCALE, EPSILON, BATCH };
enum {
  INVERSE,
  LOGITS,
  MEANS,
  PULLS
}; /* saved: 1 / length of each pixel; d loss / d logit; z; d loss / d mean / count */

typedef struct Embedding {
  long images, pixels, c, blocks, groups; /* groups: sets of class means */
  bool normalise, training, add;
  real log_eps, dy;
  const real *z, *label;
  real *inverse, *logits, *means, *pulls; /* logits: classes x images x pixels */
  double *weight;                         /* images x classes: what one pixel counts */
  double *count;                          /* groups x classes */
  double *partial;                        /* chunks x (classes x c + classes) */
  real *dz;
} Embedding;

static int loss_shape(Call *c) {
  const Tensor *z = c->in[Z], *label = c->in[LABEL];
  if (!want_real(c, Z) || !want_real(c, LABEL) || !call_want_rank(c, Z, 4)) return 0;
  if (label->rank != 3 || memcmp(label->shape, z->shape, 3 * sizeof(long)))
    return call_fail(c, "label: expected %s like Z's pixels, found %s", shape_text(3, z->shape),
                     tensor_text(label));
  if (!(c->arg[EPSILON].n >= 0))
    return call_fail(c, "epsilon: expected at least 0, found %g", c->arg[EPSILON].n);
  return call_out(c, 0, call_total(c), 0, NULL);
}

static Embedding loss_of(const Call *c) {
  const long *s = c->in[Z]->shape;
  Embedding j = {.images = s[0],
                 .pixels = s[1] * s[2],
                 .c = s[3],
                 .z = input(c, Z),
                 .label = input(c, LABEL),
                 .normalise = c->arg[NORMALISE].n != 0,
                 .training = c->training};
  j.blocks = (j.pixels + PIXELS - 1) / PIXELS;
  j.groups = c->arg[BATCH].n != 0 ? 1 : j.images;
  j.log_eps = c->arg[EPSILON].n > 0 ? (real)log(c->arg[EPSILON].n) : (real)-1e30;
  return j;
}

/* A chunk: its image, its first pixel of all, how many. */
static long span(const Embedding *j, long chunk, long *image, long *at) {
  *image = chunk / j->blocks;
  long first = chunk % j->blocks * PIXELS;
  *at = *image * j->pixels + first;
  return least(PIXELS, j->pixels - first);
}

static double *partial_of(const Embedding *j, long chunk) {
  return j->partial + chunk * CLASSES * (j->c + 1);
}
static const real *mean_of(const Embedding *j, const real *of, long image, int k) {
  return of + ((j->groups == 1 ? 0 : image) * CLASSES + k) * j->c;
}

/* Lengths, and per class the sum of the embeddings and the number of pixels. */
static int sums_chunk(void *arg, long chunk) {
  Embedding *j = arg;
  long image, at, n = span(j, chunk, &image, &at);
  double *acc = partial_of(j, chunk), *count = acc + CLASSES * j->c;
  real one[PIXELS], *inverse = j->normalise ? j->inverse + at : one, g[PIXELS];
  memset(acc, 0, (size_t)(CLASSES * (j->c + 1)) * sizeof *acc);
  if (j->normalise)
    HOT_CALL(rows_inverse_norm, n, j->c, j->z + at * j->c, inverse);
  else
    for (long i = 0; i < n; i++) one[i] = 1;
  for (long i = 0; i < n; i++) {
    real l = j->label[at + i];
    if (l != 0 && l != 1 && l != 2 && l != 3) return refuse_value(REFUSE_PART, CLASSES, (double)l, 0);
    if (l > 0) count[(int)l - 1]++;
  }
  for (int k = 0; k < CLASSES; k++) {
    if (count[k] == 0) continue;
    for (long i = 0; i < n; i++) g[i] = j->label[at + i] == (real)(k + 1) ? inverse[i] : 0;
    HOT_CALL(rows_gather, n, j->c, g, j->z + at * j->c, acc + k * j->c);
  }
  return 1;
}

/* The chunks' sums, in order, of group `g`'s class k: entry i of the classes' embeddings. */
static double total(const Embedding *j, long g, long i) {
  long begin = j->groups == 1 ? 0 : g * j->blocks,
       end = j->groups == 1 ? j->images * j->blocks : begin + j->blocks;
  double s = 0;
  for (long chunk = begin; chunk < end; chunk++) s += partial_of(j, chunk)[i];
  return s;
}

/* From the sums: pixel weights, class counts and the means z. length[g][k]: of the plain mean. */
static void find_means(Embedding *j, double scale, double *length) {
  long used = 0, C = j->c;
  for (long n = 0; n < j->images; n++) {
    double *w = j->weight + n * CLASSES, present = 0;
    for (int k = 0; k < CLASSES; k++) {
      w[k] = 0;
      for (long b = 0; b < j->blocks; b++) w[k] += partial_of(j, n * j->blocks + b)[CLASSES * C + k];
      present += w[k] > 0;
    }
    for (int k = 0; k < CLASSES; k++) w[k] = w[k] > 0 ? 1 / (w[k] * present) : 0;
    used += present > 0;
  }
  for (long i = 0; i < j->images * CLASSES; i++) j->weight[i] /= used ? (double)used : 1;
  for (long g = 0; g < j->groups; g++)
    for (int k = 0; k < CLASSES; k++) {
      double n = j->count[g * CLASSES + k] = total(j, g, CLASSES * C + k), square = 0;
      real *z = j->means + (g * CLASSES + k) * C;
      for (long i = 0; i < C; i++) {
        double m = n > 0 ? total(j, g, k * C + i) / n : 0;
        square += m * m;
        z[i] = (real)m;
      }
      double norm = sqrt(square), factor = j->normalise ? scale / (norm > 1e-8 ? norm : 1e-8) : 1;
      length[g * CLASSES + k] = norm;
      for (long i = 0; i < C; i++) z[i] = (real)((double)z[i] * factor);
    }
}

/* Losses, their derivatives by the logits, and the sums of those times the embeddings. */
static int contrast_chunk(void *arg, long chunk) {
  Embedding *j = arg;
  long image, at, n = span(j, chunk, &image, &at), all = j->images * j->pixels;
  double *acc = partial_of(j, chunk), sum = 0;
  real l[CLASSES][PIXELS], loss[PIXELS], g[PIXELS], weight[CLASSES];
  for (int k = 0; k < CLASSES; k++) {
    bool present = j->count[(j->groups == 1 ? 0 : image) * CLASSES + k] > 0;
    weight[k] = (real)j->weight[image * CLASSES + k];
    if (present) HOT_CALL(rows_dot, n, j->c, j->z + at * j->c, mean_of(j, j->means, image, k), l[k]);
    for (long i = 0; i < n; i++)
      l[k][i] = present ? l[k][i] * (j->normalise ? j->inverse[at + i] : 1) : (real)-1e30;
  }
  HOT_CALL(contrast, n, j->label + at, weight, j->log_eps, l[0], l[1], l[2], loss);
  for (long i = 0; i < n; i++) sum += (double)loss[i];
  memset(acc, 0, (size_t)(CLASSES * (j->c + 1)) * sizeof *acc);
  acc[CLASSES * j->c] = sum;
  for (int k = 0; k < CLASSES && j->training; k++) {
    memcpy(j->logits + k * all + at, l[k], (size_t)n * sizeof(real));
    for (long i = 0; i < n; i++) g[i] = l[k][i] * (j->normalise ? j->inverse[at + i] : 1);
    HOT_CALL(rows_gather, n, j->c, g, j->z + at * j->c, acc + k * j->c);
  }
  return 1;
}

/* d loss / d mean of every class, over the number of its pixels: what each of them gets. */
static void find_pulls(Embedding *j, double scale, const double *length) {
  long C = j->c;
  for (long g = 0; g < j->groups * CLASSES; g++) {
    const real *z = j->means + g * C;
    real *pull = j->pulls + g * C;
    double n = j->count[g], norm = length[g], along = 0;
    double factor = (j->normalise ? scale / (norm > 1e-8 ? norm : 1e-8) : 1) / (n > 0 ? n : 1);
    for (long i = 0; i < C; i++) pull[i] = (real)total(j, g / CLASSES, g % CLASSES * C + i);
    if (j->normalise && norm > 1e-8 && scale != 0)
      for (long i = 0; i < C; i++) along += (double)pull[i] * (double)z[i] / (scale * scale);
    for (long i = 0; i < C; i++) pull[i] = (real)(factor * ((double)pull[i] - along * (double)z[i]));
  }
}

static int loss_forward(Call *c) {
  Embedding j = loss_of(c);
  long all = j.images * j.pixels, chunks = j.images * j.blocks, sets = j.groups * CLASSES;
  double scale = c->arg[SCALE].n;
  real *y = output(c, 0);
  Tensor *kept[] = {call_save_new(c, INVERSE, c->dtype, 1, SHAPE(j.normalise ? all : 0)),
                    call_save_new(c, LOGITS, c->dtype, 1, SHAPE(j.training ? CLASSES * all : 0)),
                    call_save_new(c, MEANS, c->dtype, 1, SHAPE(sets * j.c)),
                    call_save_new(c, PULLS, c->dtype, 1, SHAPE(j.training ? sets * j.c : 0))};
  real **place[] = {&j.inverse, &j.logits, &j.means, &j.pulls};
  for (int k = INVERSE; k <= PULLS; k++)
    if (!kept[k] || !(*place[k] = tensor_write(kept[k]))) return 0;
  size_t partial = (size_t)(chunks * CLASSES * (j.c + 1)) * sizeof(double);
  size_t small = (size_t)(j.images * CLASSES + 2 * sets) * sizeof(double);
  j.partial = call_scratch(c, partial);
  j.weight = call_scratch(c, small);
  int ok = y && j.partial && j.weight && parallel(chunks, sums_chunk, &j);
  if (ok) {
    j.count = j.weight + j.images * CLASSES;
    find_means(&j, scale, j.count + sets);
    ok = parallel(chunks, contrast_chunk, &j);
  }
  if (ok) {
    double sum = 0;
    for (long k = 0; k < chunks; k++) sum += partial_of(&j, k)[CLASSES * j.c];
    *y = (real)sum;
    if (j.training) find_pulls(&j, scale, j.count + sets);
  }
  return ok;
}

/* dZ of a pixel: sum over the classes of d loss / d logit z, and its class's pull,
 * through the normalisation. */
static int backward_chunk(void *arg, long chunk) {
  const Embedding *j = arg;
  long image, at, n = span(j, chunk, &image, &at), all = j->images * j->pixels, C = j->c;
  real *e = scratch(0, (size_t)(PIXELS * C) * sizeof *e), g[PIXELS];
  if (!e) return 0;
  for (int k = 0; k < CLASSES; k++) {
    for (long i = 0; i < n; i++) g[i] = j->dy * j->logits[k * all + at + i];
    HOT_CALL(rows_outer, n, C, g, mean_of(j, j->means, image, k), e, k > 0);
    for (long i = 0; i < n; i++) g[i] = j->label[at + i] == (real)(k + 1) ? j->dy : 0;
    HOT_CALL(rows_outer, n, C, g, mean_of(j, j->pulls, image, k), e, true);
  }
  real *dz = j->dz + at * C;
  if (j->normalise)
    HOT_CALL(rows_normalise_back, n, C, j->z + at * C, j->inverse + at, e, dz, j->add);
  else
    for (long i = 0; i < n * C; i++) dz[i] = (j->add ? dz[i] : 0) + e[i];
  return 1;
}

static int loss_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  Embedding j = loss_of(c);
  real **place[] = {&j.inverse, &j.logits, &j.means, &j.pulls};
  for (int k = INVERSE; k <= PULLS; k++) *place[k] = (real *)saved(c, k);
  j.dy = *grad_out(c, 0);
  j.dz = call_grad(c, Z, &j.add);
  return j.dz && parallel(j.images * j.blocks, backward_chunk, &j);
}

static int loss_sample(Call *c, Random *r, int variant) {
  static const long samples[][4] = {{2, 3, 4, 5}, {1, 1, 1, 3},   {2, 5, 6, 17},
                                    {0, 2, 2, 4}, {1, 20, 17, 2}, {3, 2, 3, 4}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  if (!sample_input(c, Z, r, 4, samples[variant]) || !sample_input(c, LABEL, r, 3, samples[variant]))
    return 0;
  real *label = tensor_write(c->in[LABEL]);
  for (long i = 0; label && i < c->in[LABEL]->size; i++)
    label[i] = (real)random_below(r, variant == 5 ? 3 : 4);
  sample_arg(c, NORMALISE, variant != 2);
  sample_arg(c, SCALE, variant == 4 ? 3 : 10);
  sample_arg(c, BATCH, variant >= 4);
  return label != NULL;
}

DESCRIPTOR op_embedding_loss = {.name = "embedding_loss",
                                .args = "Z label normalise=true scale=10 epsilon=1e-3 batch_means=false",
                                .doc = "3-way contrast of Z N,H,W,F with class means; label N,H,W: 1 "
                                       "person, 2 object, 3 background, 0 ignored",
                                .shape = loss_shape,
                                .full = 1 << LABEL,
                                .no_grad = 1 << LABEL,
                                .sample = loss_sample};
const Kernel REALNAME(cpu_embedding_loss) = {.forward = loss_forward, .backward = loss_backward};
