/* The responsibility loss: at every pixel of a hand's image a = clamp(q . K[p], 0, 1), q being Q at the
 * hand's query point, and Smooth-L1 (beta 0.5) of a against R; mean over pixels, then over hands. Pixels with
 * R < 0 (padding, what augmentation left empty) take no part, hands without others neither. Forward keeps the
 * derivative by a, one number per pixel; K is read once forward and once backward. The clamp's gradient
 * passes on its limits; with `through` also where it leads back inside, so that scores that have left (0, 1)
 * everywhere, where the loss is flat, can return. */
#include "ops/op_kit.h"

#include "core/bulk.h"

#include "ops/bodies_responsibility.h"
#include "ops/bodies_rows.h"
#include "ops/refusal.h"

enum { Q, K, R, QUERIES, IMAGE, PIXELS = 512 };
enum { SLOPE, WEIGHT }; /* saved */
enum { THROUGH };       /* parameter */

typedef struct Loss {
  long images, h, w, c, hands, pixels, blocks; /* blocks: chunks of an image */
  const real *q, *k, *r, *slope;
  real *to; /* forward: derivatives by a, or NULL */
  real *dk, dy;
  double *partial;
  const double *weight; /* of each hand's pixels in the mean */
  bool add, through;
  const Call *call;
} Loss;

/* The image (from 0) of hand m. */
static long image_of(const Call *c, long m) {
  return c->nin > IMAGE && c->in[IMAGE] ? (long)input(c, IMAGE)[m] - 1 : m;
}

/* Where Q holds hand m's query vector, in elements. */
static long query_at(const Loss *j, long m) {
  const real *xy = input(j->call, QUERIES) + 2 * m;
  return ((image_of(j->call, m) * j->h + nearest_pixel(xy[1], j->h)) * j->w + nearest_pixel(xy[0], j->w)) *
         j->c;
}

static int loss_shape(Call *c) {
  const Tensor *q = c->in[Q], *k = c->in[K], *r = c->in[R], *p = c->in[QUERIES];
  for (int i = Q; i < c->nin; i++)
    if (!want_real(c, i)) return 0;
  if (!call_want_rank(c, Q, 4)) return 0;
  if (!tensor_same_shape(q, k))
    return call_fail(c, "K: expected %s like Q, found %s", tensor_text(q), tensor_text(k));
  if (r->rank != 3 || r->shape[1] != q->shape[1] || r->shape[2] != q->shape[2])
    return call_fail(c, "R: expected hands x %ld x %ld, found %s", q->shape[1], q->shape[2], tensor_text(r));
  long hands = r->shape[0];
  if (p->rank != 2 || p->shape[0] != hands || p->shape[1] != 2)
    return call_fail(c, "queries: expected %ldx2 like R's hands, found %s", hands, tensor_text(p));
  if (c->nin > IMAGE && c->in[IMAGE] && (c->in[IMAGE]->rank != 1 || c->in[IMAGE]->size != hands))
    return call_fail(c, "image: expected %ld numbers like R's hands, found %s", hands,
                     tensor_text(c->in[IMAGE]));
  return call_out(c, 0, call_total(c), 0, NULL);
}

/* What queries and images hold must be sensible: refused where they are read. */
static int check_hands(const Call *c) {
  long hands = c->in[R]->shape[0], images = c->in[Q]->shape[0];
  for (long m = 0; m < hands; m++) {
    double image = c->nin > IMAGE && c->in[IMAGE] ? (double)input(c, IMAGE)[m] : (double)(m + 1);
    const real *xy = input(c, QUERIES) + 2 * m;
    if (!(image >= 1 && image <= (double)images) || floor(image) != image)
      return refuse_value(REFUSE_IMAGE, (double)(m + 1), (double)images, image);
    if (xy[0] != xy[0] || xy[1] != xy[1])
      return refuse_value(REFUSE_QUERY, (double)(m + 1), (double)xy[0], (double)xy[1]);
  }
  return 1;
}

static Loss loss_of(const Call *c) {
  const long *s = c->in[Q]->shape;
  Loss j = {.images = s[0],
            .h = s[1],
            .w = s[2],
            .c = s[3],
            .hands = c->in[R]->shape[0],
            .call = c,
            .q = input(c, Q),
            .k = input(c, K),
            .through = c->arg[THROUGH].n != 0};
  j.pixels = j.h * j.w;
  j.blocks = (j.pixels + PIXELS - 1) / PIXELS;
  return j;
}

static int forward_chunk(void *arg, long chunk) {
  const Loss *j = arg;
  long m = chunk / j->blocks, at = chunk % j->blocks * PIXELS, n = least(PIXELS, j->pixels - at);
  const real *k = j->k + (image_of(j->call, m) * j->pixels + at) * j->c, *r = j->r + m * j->pixels + at;
  real a[PIXELS];
  double sum = 0;
  HOT_CALL(rows_dot, n, j->c, k, j->q + query_at(j, m), a);
  for (long i = 0; i < n; i++) {
    bool counts = !(r[i] < 0);
    sum += counts ? (double)responsibility_size(a[i], r[i]) : 0;
    a[i] = counts ? responsibility_slope(a[i], r[i], j->through) : 0;
  }
  j->partial[chunk] = sum;
  if (j->to) memcpy(j->to + m * j->pixels + at, a, (size_t)n * sizeof *a);
  return 1;
}

/* 1 / (pixels of the hand that count · hands that have any). */
static void weigh(const Loss *j, double *weight) {
  double hands = 0;
  for (long m = 0; m < j->hands; m++) {
    long count = 0;
    for (long i = 0; i < j->pixels; i++) count += !(j->r[m * j->pixels + i] < 0);
    weight[m] = count > 0 ? 1 / (double)count : 0;
    hands += count > 0;
  }
  for (long m = 0; m < j->hands && hands > 0; m++) weight[m] /= hands;
}

static int loss_forward(Call *c) {
  if (!check_hands(c)) return 0;
  Loss j = loss_of(c);
  long chunks = j.hands * j.blocks;
  real *y = output(c, 0);
  if (c->training) {
    Tensor *kept = call_save_new(c, SLOPE, c->dtype, 2, SHAPE(j.hands, j.pixels));
    if (!kept || !(j.to = tensor_write(kept))) return 0;
  }
  j.r = input(c, R);
  Tensor *kept = call_save_new(c, WEIGHT, F64, 1, SHAPE(j.hands));
  double *weight = kept ? tensor_write(kept) : NULL;
  size_t bytes = (size_t)chunks * sizeof(double);
  if (!y || !weight || !(j.partial = call_scratch(c, bytes))) return 0;
  weigh(&j, weight);
  int ok = parallel(chunks, forward_chunk, &j);
  double sum = 0;
  for (long i = 0; ok && i < chunks; i++) sum += j.partial[i] * weight[i / j.blocks];
  *y = (real)sum;
  return ok;
}

/* One block of one image: dK from all its hands, and their parts of dq. */
static int backward_chunk(void *arg, long chunk) {
  const Loss *j = arg;
  long image = chunk / j->blocks, block = chunk % j->blocks, at = block * PIXELS,
       n = least(PIXELS, j->pixels - at);
  long first = (image * j->pixels + at) * j->c, seen = 0;
  real *v = scratch(0, (size_t)j->c * sizeof *v);
  if (!v) return 0;
  for (long m = 0; m < j->hands; m++) {
    if (image_of(j->call, m) != image) continue;
    const real *g = j->slope + m * j->pixels + at, *q = j->q + query_at(j, m);
    double *acc = j->partial + (m * j->blocks + block) * j->c;
    memset(acc, 0, (size_t)j->c * sizeof *acc);
    HOT_CALL(rows_gather, n, j->c, g, j->k + first, acc);
    for (long i = 0; i < j->c; i++) v[i] = j->dy * (real)j->weight[m] * q[i];
    if (j->dk) HOT_CALL(rows_outer, n, j->c, g, v, j->dk + first, j->add || seen > 0);
    seen++;
  }
  if (j->dk && !seen && !j->add) memset(j->dk + first, 0, (size_t)(n * j->c) * sizeof *j->dk);
  return 1;
}

static int loss_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  Loss j = loss_of(c);
  j.slope = saved(c, SLOPE);
  j.weight = tensor_data(c->saved[WEIGHT]);
  j.dy = *grad_out(c, 0);
  if (c->needs_grad[K] && !(j.dk = call_grad(c, K, &j.add))) return 0;
  size_t bytes = (size_t)(j.hands * j.blocks * j.c) * sizeof(double);
  if (!(j.partial = call_scratch(c, bytes))) return 0;
  int ok = parallel(j.images * j.blocks, backward_chunk, &j);
  bool add;
  real *dq = ok && c->needs_grad[Q] ? call_grad(c, Q, &add) : NULL;
  if (dq && !add && !bulk_clear(dq, tensor_bytes(c->in[Q]))) dq = NULL;
  for (long m = 0; dq && m < j.hands; m++)
    for (long i = 0; i < j.c; i++) {
      double s = 0;
      for (long b = 0; b < j.blocks; b++) s += j.partial[(m * j.blocks + b) * j.c + i];
      dq[query_at(&j, m) + i] += (real)(s * (double)j.dy * j.weight[m]);
    }
  return ok && (dq || !c->needs_grad[Q]);
}

static int loss_sample(Call *c, Random *r, int variant) {
  static const long samples[][5] = {
      {2, 3, 4, 5, 2}, {1, 1, 1, 3, 1}, {2, 5, 3, 17, 3}, {3, 2, 2, 4, 0}, {1, 25, 23, 2, 1}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  const long *s = samples[variant];
  if (!sample_input(c, Q, r, 4, s) || !sample_input(c, K, r, 4, s) ||
      !sample_input(c, R, r, 3, SHAPE(s[4], s[1], s[2])) || !sample_input(c, QUERIES, r, 2, SHAPE(s[4], 2)))
    return 0;
  real *q = tensor_write(c->in[Q]), *map = tensor_write(c->in[R]), *xy = tensor_write(c->in[QUERIES]);
  for (long i = 0; q && i < c->in[Q]->size; i++) q[i] = (real)0.5 * q[i] + (real)0.3;
  for (long i = 0; map && i < c->in[R]->size; i++) map[i] = i % 5 == 4 ? -1 : (real)random_uniform(r);
  for (long i = 0; xy && i < 2 * s[4]; i++) xy[i] = (real)(random_uniform(r) * 6 - 1); /* some outside */
  if (!q || !map || !xy) return 0;
  if (variant != 2) return 1;
  if (!sample_input(c, IMAGE, r, 1, &s[4])) return 0;
  real *image = tensor_write(c->in[IMAGE]);
  for (long m = 0; image && m < s[4]; m++) image[m] = (real)(1 + m % 2);
  return image != NULL;
}

DESCRIPTOR op_responsibility_loss = {
    .name = "responsibility_loss",
    .args = "Q K R queries image? through=false",
    .doc = "Smooth-L1 of clamp(q . K, 0, 1) against R: Q, K "
           "N,H,W,A; R M,H,W (below 0: ignored); queries M,2 (x, y); image M (from 1)",
    .shape = loss_shape,
    .full = 1 << R | 1 << QUERIES | 1 << IMAGE,
    .no_grad = 1 << R | 1 << QUERIES | 1 << IMAGE,
    .sample = loss_sample,
    .shape_only = 4};
const Kernel REALNAME(cpu_responsibility_loss) = {.forward = loss_forward, .backward = loss_backward};
