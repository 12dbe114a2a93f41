/* The responsibility loss of the method: smooth-L1 (beta = 0.5) between the attention a = clamp(q . K[p], 0,
 * 1) of each hand and its responsibility map, mean over pixels, then hands. One pass over K forward, one
 * backward; the attention maps are never stored. Pixels with negative responsibility (padding) take no part.
 */
#include "ops/lanes.h"
#include "ops/op_kit.h"

enum { ROWS = 2048 }; /* pixels a chunk */
#define BETA ((real)0.5)

/* Where everything lies; one image per `hands of image` list. */
typedef struct Job {
  long n, h, w, a, hands;
  const real *Q, *K, *R;
  const int32_t *image; /* of each hand, from 0 (copied) */
  const long *at;       /* pixel of each hand's query within its image */
  const double *weight; /* of each hand's pixels in the loss; NULL in the first pass */
  double *loss, *count; /* per chunk and hand */
  real *dK;             /* backward: written wholly or added to */
  double *dq;           /* per chunk and hand: a numbers */
  bool add;
  real scale; /* of the gradient */
} Job;

static long chunks_per_image(const Job *j) { return (j->h * j->w + ROWS - 1) / ROWS; }

static real penalty(real d) {
  d = d < 0 ? -d : d;
  return d < BETA ? (real)0.5 * d * d / BETA : d - (real)0.5 * BETA;
}

static real slope(real d) { return d >= BETA ? 1 : d <= -BETA ? -1 : d / BETA; }

static const real *query_of(const Job *j, long k) {
  return j->Q + ((long)j->image[k] * j->h * j->w + j->at[k]) * j->a;
}

static int forward_chunk(void *arg, long c) {
  const Job *j = arg;
  long per = chunks_per_image(j), image = c / per, pixels = j->h * j->w;
  long begin = c % per * ROWS, end = least(begin + ROWS, pixels);
  for (long k = 0; k < j->hands; k++) {
    if (j->image[k] != image) continue;
    const real *q = query_of(j, k), *K = j->K + image * pixels * j->a, *R = j->R + k * pixels;
    double sum = 0;
    long count = 0;
    for (long p = begin; p < end; p++) {
      if (R[p] < 0) continue;
      real s = row_dot(q, K + p * j->a, j->a);
      sum += penalty((s < 0 ? 0 : s > 1 ? 1 : s) - R[p]);
      count++;
    }
    j->loss[(c % per) * j->hands + k] = sum;
    j->count[(c % per) * j->hands + k] = (double)count;
  }
  return 1;
}

static int backward_chunk(void *arg, long c) {
  const Job *j = arg;
  long per = chunks_per_image(j), image = c / per, pixels = j->h * j->w, a = j->a;
  long begin = c % per * ROWS, end = least(begin + ROWS, pixels);
  if (j->dK && !j->add)
    memset(j->dK + (image * pixels + begin) * a, 0, sizeof(real) * (size_t)((end - begin) * a));
  for (long k = 0; k < j->hands; k++) {
    if (j->image[k] != image) continue;
    const real *q = query_of(j, k), *K = j->K + image * pixels * a, *R = j->R + k * pixels;
    real scale = j->scale * (real)j->weight[k];
    double *dq = j->dq + ((c % per) * j->hands + k) * a;
    real *part = scratch(0, sizeof(real) * (size_t)a);
    if (!part) return 0;
    memset(part, 0, sizeof(real) * (size_t)a);
    for (long p = begin; p < end; p++) {
      if (R[p] < 0) continue;
      real s = row_dot(q, K + p * a, a);
      if (!(s >= 0 && s <= 1)) continue; /* the clamp is flat there */
      real g = scale * slope(s - R[p]);
      if (j->dK) row_add(j->dK + (image * pixels + p) * a, q, g, a);
      row_add(part, K + p * a, g, a);
    }
    for (long i = 0; i < a; i++) dq[i] = part[i];
  }
  return 1;
}

/* ---- the call ---- */

static int loss_shape(Call *c) {
  const Tensor *Q = c->in[0], *K = c->in[1], *R = c->in[2], *q = c->in[3], *m = c->in[4];
  for (int i = 0; i < 4; i++)
    if (!want_real(c, i)) return 0;
  if (!call_want_rank(c, 0, 4) || !call_want_rank(c, 2, 3) || !call_want_rank(c, 3, 2)) return 0;
  if (!tensor_same_shape(Q, K))
    return call_fail(c, "K: expected the shape of Q, %s, found %s", tensor_text(Q), tensor_text(K));
  if (R->shape[1] != Q->shape[1] || R->shape[2] != Q->shape[2])
    return call_fail(c, "R: expected M maps of %ldx%ld, found %s", Q->shape[1], Q->shape[2], tensor_text(R));
  if (q->shape[0] != R->shape[0] || q->shape[1] != 2)
    return call_fail(c, "queries: expected %ldx2, found %s", R->shape[0], tensor_text(q));
  if (m && (m->dtype != I32 || m->rank != 1 || m->size != R->shape[0]))
    return call_fail(c, "image: expected int32 %ld, found %s %s", R->shape[0], dtype_name[m->dtype],
                     tensor_text(m));
  if (!m && R->shape[0] > Q->shape[0])
    return call_fail(c, "image: expected the image of each of %ld hands, since there are %ld images",
                     R->shape[0], Q->shape[0]);
  for (long k = 0; m && k < m->size; k++) {
    int32_t i = ((const int32_t *)tensor_data(m))[k];
    if (i < 1 || i > Q->shape[0]) return call_fail(c, "image: expected 1 .. %ld, found %d", Q->shape[0], i);
  }
  if (R->shape[0] > 0 && (Q->shape[1] < 1 || Q->shape[2] < 1))
    return call_fail(c, "Q: expected at least one pixel, found %s", tensor_text(Q));
  return call_out(c, 0, REAL_DTYPE, 0, NULL);
}

/* Rounded to the nearest pixel (half up) and clamped to the image; NaN goes to 0. */
static long nearest(real v, long n) {
  real r = RM(floor)(v + (real)0.5);
  return r >= (real)(n - 1) ? n - 1 : r > 0 ? (long)r : 0;
}

/* Fills a job from the call; the tables are one block, freed by job_free. */
static int job_start(const Call *c, Job *j) {
  const Tensor *Q = c->in[0];
  long hands = c->in[2]->shape[0];
  *j = (Job){.n = Q->shape[0],
             .h = Q->shape[1],
             .w = Q->shape[2],
             .a = Q->shape[3],
             .hands = hands,
             .Q = input(c, 0),
             .K = input(c, 1),
             .R = input(c, 2)};
  long *at = memory_take((size_t)hands * (sizeof(long) + sizeof(int32_t)));
  if (!at) return 0;
  int32_t *image = (int32_t *)(at + hands);
  const real *q = input(c, 3);
  for (long k = 0; k < hands; k++) {
    image[k] = c->in[4] ? ((const int32_t *)tensor_data(c->in[4]))[k] - 1 : (int32_t)k;
    at[k] = nearest(q[2 * k + 1], j->h) * j->w + nearest(q[2 * k], j->w);
  }
  j->at = at;
  j->image = image;
  return 1;
}

static void job_free(Job *j) {
  memory_give((void *)j->at, (size_t)j->hands * (sizeof(long) + sizeof(int32_t)));
}

static int loss_forward(Call *c) {
  Job j;
  real *y = output(c, 0);
  if (!y || !job_start(c, &j)) return 0;
  long per = chunks_per_image(&j), cells = per * j.hands;
  double *sums = memory_take(sizeof(double) * 2 * (size_t)cells);
  Tensor *weight = call_save_new(c, 0, F64, 1, &j.hands); /* 1 / (valid pixels · hands with any) */
  int ok = sums && weight;
  if (ok) {
    j.loss = sums;
    j.count = sums + cells;
    ok = parallel(per * j.n, forward_chunk, &j);
  }
  if (ok) {
    double *w = tensor_write(weight), total = 0, with = 0;
    for (long k = 0; k < j.hands; k++) {
      double loss = 0, count = 0;
      for (long p = 0; p < per; p++) loss += j.loss[p * j.hands + k], count += j.count[p * j.hands + k];
      w[k] = count > 0 ? 1 / count : 0;
      total += loss * w[k];
      with += count > 0;
    }
    for (long k = 0; k < j.hands && with > 0; k++) w[k] /= with;
    *y = with > 0 ? (real)(total / with) : 0;
  }
  memory_give(sums, sizeof(double) * 2 * (size_t)cells);
  job_free(&j);
  return ok;
}

/* dQ is zero but at the query pixels. */
static int give_dq(Call *c, const Job *j) {
  bool add;
  real *dQ = call_grad(c, 0, &add);
  long per = chunks_per_image(j);
  if (!dQ) return 0;
  if (!add) memset(dQ, 0, tensor_bytes(c->in[0]));
  for (long k = 0; k < j->hands; k++) {
    real *row = dQ + ((long)j->image[k] * j->h * j->w + j->at[k]) * j->a;
    for (long i = 0; i < j->a; i++) {
      double sum = 0;
      for (long p = 0; p < per; p++) sum += j->dq[(p * j->hands + k) * j->a + i];
      row[i] += (real)sum;
    }
  }
  return 1;
}

static int loss_backward(Call *c) {
  Job j;
  const real *dy = arrived(c, 0);
  if (!dy || (!c->want[0] && !c->want[1])) return 1;
  if (c->want[2] || c->want[3]) return call_fail(c, "R, queries: no gradients there");
  if (!job_start(c, &j)) return 0;
  size_t bytes = sizeof(double) * (size_t)(chunks_per_image(&j) * j.hands * j.a);
  j.weight = tensor_data(c->saved[0]);
  j.scale = *dy;
  j.dq = memory_take(bytes);
  int ok = j.dq != NULL;
  if (ok && c->want[1]) ok = (j.dK = call_grad(c, 1, &j.add)) != NULL;
  ok = ok && parallel(chunks_per_image(&j) * j.n, backward_chunk, &j) && (!c->want[0] || give_dq(c, &j));
  memory_give(j.dq, bytes);
  job_free(&j);
  return ok;
}

static int loss_sample(Call *c, Random *r, int variant) {
  static const long sizes[][5] = {
      {2, 3, 4, 5, 2}, {2, 5, 3, 8, 3}, {1, 1, 1, 4, 1}, {3, 7, 6, 17, 4}, {2, 4, 4, 6, 0}};
  if (variant >= (int)(sizeof sizes / sizeof *sizes)) return -1;
  long n = sizes[variant][0], h = sizes[variant][1], w = sizes[variant][2], a = sizes[variant][3],
       m = sizes[variant][4];
  if (!sample_input(c, 0, r, 4, SHAPE(n, h, w, a)) || !sample_input(c, 1, r, 4, SHAPE(n, h, w, a)) ||
      !sample_input(c, 2, r, 3, SHAPE(m, h, w)) || !sample_input(c, 3, r, 2, SHAPE(m, 2)))
    return 0;
  for (int k = 0; k < 2; k++) { /* scores spread around the clamp, none within reach of its kinks */
    real *v = tensor_write(c->in[k]);
    for (long i = 0; i < c->in[k]->size; i++)
      v[i] = (real)random_range(r, 0.2, 1) * RM(sqrt)((real)0.9 / (real)a);
  }
  real *R = tensor_write(c->in[2]), *q = tensor_write(c->in[3]);
  for (long i = 0; i < c->in[2]->size; i++) R[i] = i % 5 == 4 ? -1 : (real)random_uniform(r);
  for (long k = 0; k < m; k++)
    q[2 * k] = (real)random_range(r, -2, w + 2), q[2 * k + 1] = (real)random_range(r, -2, h + 2);
  if (m <= n && variant != 1) return 1;
  if (!(c->in[4] = tensor_new(I32, 1, &m))) return 0;
  c->nin = 5;
  for (long k = 0; k < m; k++) ((int32_t *)c->in[4]->storage->data)[k] = (int32_t)(k % n + 1);
  return 1;
}

const Op REALNAME(op_responsibility_loss) = {
    .name = "responsibility_loss",
    .args = "*Q K R queries image?",
    .doc = "smooth-L1 (beta 0.5) of clamp(q . K, 0, 1) against R, mean over pixels, then hands; Q, K: "
           "N,H,W,A; R: "
           "M,H,W (negative: ignored); queries: M,2 (x, y); image: M int32, from 1",
    .shape = loss_shape,
    .forward = loss_forward,
    .backward = loss_backward,
    .sample = loss_sample,
    .lean = 0};
