/* attention: clamp(q . K[p], 0, 1) of M queries at every pixel; normalise:
 * channels divided by their length. */
#include "ops/op_kit.h"

#include "ops/bodies_rows.h"

enum { PIXELS = 512 };

/* ---- attention ---- */
typedef struct AttentionJob {
  long queries, pixels, c;
  const real *q, *k, *y, *dy;
  real *to, *dk;
  double *partial; /* chunks x queries x c */
  bool add;
} AttentionJob;

static AttentionJob attention_job(const Call *c) {
  const Tensor *q = c->in[0], *k = c->in[1];
  return (AttentionJob){.queries = q->shape[0],
                        .c = q->shape[1],
                        .pixels = extent(k->shape, 0, k->rank - 1),
                        .q = input(c, 0),
                        .k = input(c, 1)};
}

static long chunks_of(long pixels) { return (pixels + PIXELS - 1) / PIXELS; }

static int attention_shape(Call *c) {
  const Tensor *q = c->in[0], *k = c->in[1];
  if (!want_real(c, 0) || !want_real(c, 1) || !call_want_rank(c, 0, 2)) return 0;
  if (k->rank < 1 || k->shape[k->rank - 1] != q->shape[1])
    return call_fail(c, "K: expected %ld channels like the queries, found %s", q->shape[1], tensor_text(k));
  long shape[RANK_MAX] = {q->shape[0]};
  for (int d = 1; d < k->rank; d++) shape[d] = k->shape[d - 1];
  return call_out(c, 0, c->dtype, k->rank, shape);
}

static int attention_chunk(void *arg, long chunk) {
  const AttentionJob *j = arg;
  long at = chunk * PIXELS, n = least(PIXELS, j->pixels - at);
  for (long m = 0; m < j->queries; m++) {
    real *y = j->to + m * j->pixels + at;
    HOT_CALL(rows_dot, n, j->c, j->k + at * j->c, j->q + m * j->c, y);
    for (long i = 0; i < n; i++) y[i] = y[i] < 0 ? 0 : y[i] > 1 ? 1 : y[i];
  }
  return 1;
}

static int attention_forward(Call *c) {
  AttentionJob j = attention_job(c);
  j.to = output(c, 0);
  return j.to && parallel(chunks_of(j.pixels), attention_chunk, &j) &&
         (!c->training || call_save(c, 0, c->out[0]));
}

static int attention_back_chunk(void *arg, long chunk) {
  const AttentionJob *j = arg;
  long at = chunk * PIXELS, n = least(PIXELS, j->pixels - at), C = j->c;
  double *partial = j->partial + chunk * j->queries * C;
  memset(partial, 0, (size_t)(j->queries * C) * sizeof *partial);
  for (long m = 0; m < j->queries; m++) {
    real g[PIXELS];
    for (long i = 0; i < n; i++) {
      real y = j->y[m * j->pixels + at + i];
      g[i] = y > 0 && y < 1 ? j->dy[m * j->pixels + at + i] : 0;
    }
    HOT_CALL(rows_gather, n, C, g, j->k + at * C, partial + m * C);
    if (j->dk) HOT_CALL(rows_outer, n, C, g, j->q + m * C, j->dk + at * C, j->add || m > 0);
  }
  return 1;
}

static int attention_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  AttentionJob j = attention_job(c);
  long chunks = chunks_of(j.pixels), n = j.queries * j.c;
  size_t bytes = (size_t)(chunks * n) * sizeof *j.partial;
  j.y = saved(c, 0);
  j.dy = grad_out(c, 0);
  if (c->needs_grad[1]) {
    if (!(j.dk = call_grad(c, 1, &j.add))) return 0;
    if (!j.queries && !j.add) memset(j.dk, 0, tensor_bytes(c->in[1]));
  }
  bool add;
  if (!(j.partial = call_scratch(c, bytes))) return 0;
  int ok = parallel(chunks, attention_back_chunk, &j);
  real *dq = ok && c->needs_grad[0] ? call_grad(c, 0, &add) : NULL;
  for (long i = 0; dq && i < n; i++) {
    double s = 0;
    for (long k = 0; k < chunks; k++) s += j.partial[k * n + i];
    dq[i] = (add ? dq[i] : 0) + (real)s;
  }
  return ok && (dq || !c->needs_grad[0]);
}

static int attention_sample(Call *c, Random *r, int variant) {
  static const long samples[][4] = {{2, 3, 4, 5}, {1, 1, 1, 3}, {3, 25, 23, 17}, {0, 2, 2, 3}, {2, 0, 3, 2}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  const long *s = samples[variant];
  if (!sample_input(c, 0, r, 2, SHAPE(s[0], s[3])) || !sample_input(c, 1, r, 3, s + 1)) return 0;
  real *q = tensor_write(c->in[0]), *k = tensor_write(c->in[1]);
  for (long i = 0; q && k && i < c->in[0]->size; i++) q[i] = (real)0.1 * q[i] + (real)0.5 / (real)s[3];
  for (long i = 0; q && k && i < c->in[1]->size; i++) k[i] = 1 + (real)0.1 * k[i]; /* products near 1/2 */
  return q && k;
}

/* ---- normalise ---- */
typedef struct NormaliseJob {
  long rows, c;
  const real *x, *inverse, *dy;
  real *scale, *to;
  bool add;
} NormaliseJob;

static NormaliseJob normalise_job(const Call *c) {
  const Tensor *x = c->in[0];
  long channels = x->shape[x->rank - 1];
  return (NormaliseJob){.rows = channels ? x->size / channels : 0, .c = channels, .x = input(c, 0)};
}

static int normalise_shape(Call *c) {
  if (!want_real(c, 0)) return 0;
  if (c->in[0]->rank < 1)
    return call_fail(c, "input: expected channels in its last dimension, found a scalar");
  return call_out(c, 0, c->dtype, c->in[0]->rank, c->in[0]->shape);
}

static int normalise_chunk(void *arg, long chunk) {
  const NormaliseJob *j = arg;
  long at = chunk * PIXELS, n = least(PIXELS, j->rows - at);
  HOT_CALL(rows_inverse_norm, n, j->c, j->x + at * j->c, j->scale + at);
  HOT_CALL(rows_scale, n, j->c, j->x + at * j->c, j->scale + at, j->to + at * j->c);
  return 1;
}

static int normalise_forward(Call *c) {
  NormaliseJob j = normalise_job(c);
  Tensor *inverse = call_save_new(c, 0, c->dtype, 1, &j.rows);
  j.scale = inverse ? tensor_write(inverse) : NULL;
  j.to = output(c, 0);
  return j.scale && j.to && parallel(chunks_of(j.rows), normalise_chunk, &j);
}

static int normalise_back_chunk(void *arg, long chunk) {
  const NormaliseJob *j = arg;
  long at = chunk * PIXELS, n = least(PIXELS, j->rows - at);
  HOT_CALL(rows_normalise_back, n, j->c, j->x + at * j->c, j->inverse + at, j->dy + at * j->c,
           j->to + at * j->c, j->add);
  return 1;
}

static int normalise_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  NormaliseJob j = normalise_job(c);
  j.inverse = saved(c, 0);
  j.dy = grad_out(c, 0);
  j.to = call_grad(c, 0, &j.add);
  return j.to && parallel(chunks_of(j.rows), normalise_back_chunk, &j);
}

static int normalise_sample(Call *c, Random *r, int variant) {
  switch (variant) {
  case 0: return sample_input(c, 0, r, 4, SHAPE(2, 3, 2, 5));
  case 1: return sample_input(c, 0, r, 1, SHAPE(33));
  case 2: return sample_input(c, 0, r, 2, SHAPE(0, 4));
  case 3: return sample_input(c, 0, r, 2, SHAPE(600, 1));
  case 4: return sample_input(c, 0, r, 2, SHAPE(600, 2));
  default: return -1;
  }
}

DESCRIPTOR op_attention = {.name = "attention",
                           .args = "q K",
                           .doc = "clamp(q . K, 0, 1): queries M,A and keys H,W,A to maps M,H,W",
                           .shape = attention_shape,
                           .sample = attention_sample};
const Kernel REALNAME(cpu_attention) = {.forward = attention_forward, .backward = attention_backward};
DESCRIPTOR op_normalise = {.name = "normalise",
                           .args = "input",
                           .doc = "the last dimension divided by its Euclidean length (at least 1e-8)",
                           .shape = normalise_shape,
                           .sample = normalise_sample};
const Kernel REALNAME(cpu_normalise) = {.forward = normalise_forward, .backward = normalise_backward};
