/* where(cond, a, b): a where cond is not 0, b elsewhere; all three broadcast. a and b share a dtype, or one
 * of them is cast to the real one of the two. */
#include "ops/op_kit.h"

enum { CHUNK = 1 << 15 };

typedef struct WhereJob {
  Broadcast broadcast;
  size_t bytes;
  const uint8_t *cond;
  const void *a, *b;
  void *to;
  const real *dy; /* backward: dy where cond is not 0 (side 0) or is 0 (side 1), else 0 */
  int side;
  bool add;
} WhereJob;

#define ALGO_PICK(type)                                                                                      \
  for (long k = 0; k < n; k++)                                                                               \
  ((type *)j->to)[at + k] =                                                                                  \
      cond[k * sc] ? ((const type *)j->a)[oa + k * sa] : ((const type *)j->b)[ob + k * sb]

static int where_chunk(void *arg, long chunk) {
  const WhereJob *j = arg;
  const Broadcast *w = &j->broadcast;
  long at = chunk * CHUNK, end = least(at + CHUNK, w->size), row = w->shape[w->rank - 1];
  long sc = w->step[0][w->rank - 1], sa = w->step[1][w->rank - 1], sb = w->step[2][w->rank - 1];
  for (long n; at < end; at += n) {
    const uint8_t *cond = j->cond + broadcast_offset(w, 0, at);
    long oa = broadcast_offset(w, 1, at), ob = broadcast_offset(w, 2, at);
    n = least(row - at % row, end - at);
    switch (j->bytes) {
    case 1: ALGO_PICK(uint8_t); break;
    case 2: ALGO_PICK(uint16_t); break;
    case 4: ALGO_PICK(uint32_t); break;
    default: ALGO_PICK(uint64_t); break;
    }
  }
  return 1;
}

static int where_back_chunk(void *arg, long chunk) {
  const WhereJob *j = arg;
  const Broadcast *w = &j->broadcast;
  real *g = j->to;
  long at = chunk * CHUNK, end = least(at + CHUNK, w->size), row = w->shape[w->rank - 1];
  long step = w->step[0][w->rank - 1];
  for (long n; at < end; at += n) {
    const uint8_t *cond = j->cond + broadcast_offset(w, 0, at);
    n = least(row - at % row, end - at);
    for (long k = 0; k < n; k++) {
      bool chosen = cond[k * step];
      real d = chosen == (j->side == 0) ? j->dy[at + k] : 0;
      g[at + k] = (j->add ? g[at + k] : 0) + d;
    }
  }
  return 1;
}

/* The dtype of the result. */
static Dtype common(const Call *c) {
  Dtype a = c->in[1]->dtype, b = c->in[2]->dtype;
  if (a == b) return a;
  if (dtype_is_real(a) || dtype_is_real(b) || dtype_is_half(c->dtype)) return c->dtype;
  return a == I64 || b == I64 ? I64 : I32;
}

static int where_shape(Call *c) {
  int rank;
  long shape[RANK_MAX];
  for (int k = 1; k < 3; k++)
    if (c->in[k]->var && !want_real(c, k)) return 0;
  return REALNAME(broadcast_shape)(c, (const int[]){0, 1, 2}, 3, &rank, shape) &&
         call_out(c, 0, common(c), rank, shape);
}

/* cond as bytes that are 0 or not; real ones compare with 0 before they are rounded. */
static Tensor *truth(Tensor *cond) {
  if (cond->dtype == U8) return tensor_retain(cond);
  Tensor *wide = tensor_cast(cond, F64),
         *t = wide ? tensor_on(cond->device, U8, cond->rank, cond->shape) : NULL;
  uint8_t *to = t ? tensor_write(t) : NULL;
  for (long i = 0; to && i < cond->size; i++) to[i] = ((const double *)tensor_data(wide))[i] != 0;
  tensor_release(wide);
  return t;
}

static int where_forward(Call *c) {
  Tensor *y = c->out[0], *t[3] = {truth(c->in[0])};
  int ok = t[0] != NULL;
  for (int k = 1; k < 3 && ok; k++)
    ok = (t[k] = c->in[k]->dtype == y->dtype ? tensor_retain(c->in[k]) : tensor_cast(c->in[k], y->dtype)) !=
         NULL;
  if (ok) {
    WhereJob j = {.bytes = dtype_bytes[y->dtype],
                  .to = tensor_write(y),
                  .cond = tensor_data(t[0]),
                  .a = tensor_data(t[1]),
                  .b = tensor_data(t[2])};
    REALNAME(broadcast_start)(&j.broadcast, t, 3, y->rank, y->shape);
    ok = j.to && parallel((y->size + CHUNK - 1) / CHUNK, where_chunk, &j);
  }
  if (ok && c->training) ok = call_save(c, 0, t[0]);
  for (int k = 0; k < 3; k++) tensor_release(t[k]);
  return ok;
}

static int where_side(Call *c, int side) {
  const Tensor *dy = c->grad_out[0], *in = c->in[1 + side];
  WhereJob j = {.cond = tensor_data(c->saved[0]), .dy = grad_out(c, 0), .side = side};
  REALNAME(broadcast_start)(&j.broadcast, c->saved, 1, dy->rank, dy->shape);
  long chunks = (dy->size + CHUNK - 1) / CHUNK;
  bool add;
  real *g = call_grad(c, 1 + side, &add);
  if (!g) return 0;
  if (tensor_same_shape(in, dy)) {
    j.to = g;
    j.add = add;
    return parallel(chunks, where_back_chunk, &j);
  }
  if (!(j.to = call_scratch(c, tensor_bytes(dy)))) return 0;
  int ok =
      parallel(chunks, where_back_chunk, &j) && REALNAME(sum_to)(c, j.to, dy->rank, dy->shape, in, g, add);
  call_drop(c, j.to);
  return ok;
}

static int where_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  return (!c->needs_grad[1] || where_side(c, 0)) && (!c->needs_grad[2] || where_side(c, 1));
}

static int where_sample(Call *c, Random *r, int variant) {
  static const struct {
    int rank[3];
    long shape[3][3];
  } samples[] = {{{2, 2, 2}, {{3, 4}, {3, 4}, {3, 4}}},
                 {{2, 0, 1}, {{3, 4}, {0}, {4}}},
                 {{1, 3, 3}, {{5}, {2, 1, 5}, {1, 3, 1}}},
                 {{2, 2, 0}, {{0, 2}, {1, 2}, {0}}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  Tensor *cond = tensor_new(U8, samples[variant].rank[0], samples[variant].shape[0]);
  c->in[0] = cond;
  if (!cond) return 0;
  uint8_t *bits = tensor_write(cond);
  for (long i = 0; i < cond->size; i++) bits[i] = random_u32(r) & 1;
  return sample_input(c, 1, r, samples[variant].rank[1], samples[variant].shape[1]) &&
         sample_input(c, 2, r, samples[variant].rank[2], samples[variant].shape[2]);
}

DESCRIPTOR op_where = {.name = "where",
                       .args = "*cond a b",
                       .doc = "a where cond is not 0, b elsewhere, with broadcasting",
                       .shape = where_shape,
                       .sample = where_sample,
                       .no_grad = 1,
                       .shape_only = 7};
const Kernel REALNAME(cpu_where) = {.forward = where_forward, .backward = where_backward};
