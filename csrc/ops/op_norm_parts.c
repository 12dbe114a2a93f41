/* The parts of batch normalisation that more than one op has: see norm.h. In training mean and var are the
 * batch's and the running ones move towards them (var then unbiased); otherwise the running ones are used. A
 * batch of one number per channel leaves the running variance as it is. */
#include "ops/norm.h"

enum { ELEMENTS = 1 << 16, ROWS = 32 };

NormRows REALNAME(norm_rows)(const Call *c, long images) {
  const Tensor *x = c->in[INPUT];
  NormRows n = {.images = images, .channels = x->shape[x->rank - 1]};
  long row = n.channels ? n.channels : 1, rows = ELEMENTS / row;
  n.rows = images ? c->in[INPUT]->size / row / images : 0;
  n.block = rows > ROWS ? rows : ROWS;
  n.blocks = (n.rows + n.block - 1) / n.block;
  return n;
}

int REALNAME(norm_check)(const Call *c) {
  static const char *const names[] = {"input", "weight", "bias", "running_mean", "running_var"};
  const Tensor *x = c->in[INPUT];
  if (x->rank < 1) return call_fail(c, "input: expected channels in its last dimension, found a scalar");
  for (int i = INPUT; i < NORM_IN; i++)
    if (!want_real(c, i)) return 0;
  for (int i = WEIGHT; i < NORM_IN; i++)
    if (c->in[i]->rank != 1 || c->in[i]->size != x->shape[x->rank - 1])
      return call_fail(c, "%s: expected %ld numbers, found %s", names[i], x->shape[x->rank - 1],
                       tensor_text(c->in[i]));
  return 1;
}

bool REALNAME(norm_training)(const Call *c) { return c->arg[TRAINING].n != 0; }

/* ---- statistics ---- */
typedef struct MomentsJob {
  const NormRows *n;
  const real *x;
  double *partial; /* chunks x 2 x channels */
  bool squares;    /* wanted, too */
} MomentsJob;

static int moments_chunk(void *arg, long chunk) {
  const MomentsJob *j = arg;
  long C = j->n->channels;
  double *p = j->partial + chunk * 2 * C;
  HOT_CALL(norm_moments, norm_count(j->n, chunk), C, j->x + norm_first(j->n, chunk) * C, p,
           j->squares ? p + C : NULL);
  return 1;
}

/* Mean and sum of squared differences of a number of rows. */
typedef struct Moments {
  double rows, mean, squares;
} Moments;

/* Those of two sets of rows together (Chan, Golub, LeVeque 1983). */
static void join(Moments *m, Moments more) {
  double rows = m->rows + more.rows, d = more.mean - m->mean;
  m->squares += more.squares + d * d * m->rows * more.rows / rows;
  m->mean += d * more.rows / rows;
  m->rows = rows;
}

/* Those of one channel of an image. */
static Moments join_image(const MomentsJob *j, long image, long channel) {
  const NormRows *n = j->n;
  Moments own = {0};
  for (long k = image * n->blocks; k < (image + 1) * n->blocks; k++) {
    const double *p = j->partial + k * 2 * n->channels + channel;
    join(&own, (Moments){(double)norm_count(n, k), p[0], p[n->channels]});
  }
  return own;
}

/* Mean and squares of all rows, and the means of the images unless image_mean is NULL, from those of the
 * chunks. */
static void join_chunks(const MomentsJob *j, double *image_mean, double *mean, double *squares) {
  const NormRows *n = j->n;
  long C = n->channels;
  for (long i = 0; i < C; i++) {
    Moments all = {0};
    for (long image = 0; image < n->images; image++) {
      Moments own = join_image(j, image, i);
      if (image_mean) image_mean[image * C + i] = own.mean;
      join(&all, own);
    }
    mean[i] = all.mean;
    squares[i] = all.squares;
  }
}

int REALNAME(norm_image_moments)(Call *c, const NormRows *n, double *mean, double *squares) {
  MomentsJob j = {.n = n, .x = input(c, INPUT), .squares = true};
  long C = n->channels;
  if (!(j.partial = call_scratch(c, (size_t)(norm_chunks(n) * 2 * C) * sizeof(double))) ||
      !parallel(norm_chunks(n), moments_chunk, &j))
    return 0;
  for (long image = 0; image < n->images; image++)
    for (long i = 0; i < C; i++) {
      Moments own = join_image(&j, image, i);
      mean[image * C + i] = own.mean;
      squares[image * C + i] = own.squares;
    }
  return 1;
}

static void join_means(const MomentsJob *j, double *image_mean) {
  long C = j->n->channels;
  memset(image_mean, 0, (size_t)(j->n->images * C) * sizeof *image_mean);
  for (long k = 0; k < norm_chunks(j->n); k++) {
    double share = (double)norm_count(j->n, k) / (double)j->n->rows,
           *to = image_mean + norm_image(j->n, k) * C;
    for (long i = 0; i < C; i++) to[i] += share * j->partial[k * 2 * C + i];
  }
}

/* Of all rows: squares and mean, and image_mean unless it is NULL; without squares image_mean alone. */
static int moments(Call *c, const NormRows *n, double *image_mean, double *mean, double *squares) {
  MomentsJob j = {.n = n, .x = input(c, INPUT), .squares = squares};
  size_t bytes = (size_t)(norm_chunks(n) * 2 * n->channels) * sizeof(double);
  if (!(j.partial = call_scratch(c, bytes))) return 0;
  int ok = parallel(norm_chunks(n), moments_chunk, &j);
  if (ok && squares)
    join_chunks(&j, image_mean, mean, squares);
  else if (ok)
    join_means(&j, image_mean);
  return ok;
}

static int update_running(Call *c, long rows, const double *mean, const double *squares) {
  real *m = tensor_write(c->in[RUNNING_MEAN]), *v = m ? tensor_write(c->in[RUNNING_VAR]) : NULL;
  double momentum = c->arg[MOMENTUM].n;
  if (!v) return 0;
  for (long i = 0; i < c->in[WEIGHT]->size; i++) {
    m[i] = (real)((1 - momentum) * (double)m[i] + momentum * mean[i]);
    if (rows > 1) v[i] = (real)((1 - momentum) * (double)v[i] + momentum * squares[i] / (double)(rows - 1));
  }
  return 1;
}

/* mean[C] and 1 / sqrt(var + eps)[C] that this call normalises with. */
static int statistics(Call *c, const NormRows *n, double *image_mean, double *mean, double *inverse) {
  double eps = c->arg[EPS].n;
  long rows = n->images * n->rows;
  bool training = c->arg[TRAINING].n != 0 && rows;
  if ((training || (image_mean && rows)) && !moments(c, n, image_mean, mean, training ? inverse : NULL))
    return 0;
  if (training && !update_running(c, rows, mean, inverse)) return 0;
  for (long i = 0; i < n->channels; i++) {
    if (!training) mean[i] = (double)input(c, RUNNING_MEAN)[i];
    double var = training ? inverse[i] / (double)rows : (double)input(c, RUNNING_VAR)[i];
    inverse[i] = 1 / sqrt(var + eps);
  }
  return 1;
}

int REALNAME(norm_prepare)(Call *c, const NormRows *n, double *image_mean) {
  long C = n->channels;
  Tensor *kept = call_save_new(c, KEPT_STATISTICS, F64, 2, SHAPE(2, C)),
         *lines = kept ? call_save_new(c, KEPT_LINE, c->dtype, 2, SHAPE(2, C)) : NULL;
  double *mean = lines ? tensor_write(kept) : NULL;
  real *line = mean ? tensor_write(lines) : NULL;
  if (!line || !statistics(c, n, image_mean, mean, mean + C)) return 0;
  for (long i = 0; i < C; i++) {
    double scale = (double)input(c, WEIGHT)[i] * mean[C + i];
    line[i] = (real)scale;
    line[C + i] = (real)((double)input(c, BIAS)[i] - mean[i] * scale);
  }
  return 1;
}

/* ---- gradients ---- */
static int channel_grad(Call *c, int which, const double *sum, const double *factor) {
  bool add;
  real *g = c->needs_grad[which] ? call_grad(c, which, &add) : NULL;
  if (!g) return !c->needs_grad[which];
  for (long i = 0; i < c->in[which]->size; i++)
    g[i] = (add ? g[i] : 0) + (real)(factor ? sum[i] * factor[i] : sum[i]);
  return 1;
}

int REALNAME(norm_weight_grads)(Call *c, const double *sums) {
  long C = c->in[WEIGHT]->size;
  const double *inverse = (const double *)tensor_data(c->saved[KEPT_STATISTICS]) + C;
  return channel_grad(c, BIAS, sums, NULL) && channel_grad(c, WEIGHT, sums + C, inverse);
}

/* dx = scale (dz - mean of dz - xhat mean of (dz xhat)) in training, scale dz otherwise. */
void REALNAME(norm_line_back)(const Call *c, const NormRows *n, const double *sums, real *line) {
  long C = n->channels;
  const double *mean = tensor_data(c->saved[KEPT_STATISTICS]), *inverse = mean + C;
  double share = c->arg[TRAINING].n != 0 ? -1 / (double)(n->images * n->rows) : 0;
  for (long i = 0; i < C; i++) {
    double scale = (double)input(c, WEIGHT)[i] * inverse[i];
    line[i] = (real)mean[i];
    line[C + i] = (real)(share * scale * inverse[i] * inverse[i] * sums[C + i]);
    line[2 * C + i] = (real)(share * scale * sums[i]);
  }
}

/* ---- samples ---- */
int REALNAME(norm_sample_inputs)(Call *c, Random *r, int variant, bool training, int rank,
                                 const long *shape) {
  sample_arg(c, TRAINING, training);
  sample_arg(c, MOMENTUM, variant % 2 ? 0.1 : 0.3);
  if (!sample_input(c, INPUT, r, rank, shape)) return 0;
  for (int i = WEIGHT; i < NORM_IN; i++)
    if (!sample_input(c, i, r, 1, shape + rank - 1)) return 0;
  real *var = tensor_write(c->in[RUNNING_VAR]);
  for (long i = 0; var && i < shape[rank - 1]; i++) var[i] = (real)0.5 + var[i] * var[i];
  return var != NULL;
}
