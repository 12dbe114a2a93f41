/* The descriptors of pointwise.def's rows. Ranges are cut into chunks by output elements; within a chunk the
 * inner loops of bodies_pointwise.h run over stretches in which every operand has step 0 or 1. Backward of a
 * repeated operand goes through a temporary tensor of the output's shape, which is then summed. */
#include "ops/op_kit.h"

#include "ops/bodies_pointwise.h"

enum { CHUNK = 1 << 15 };
enum { ANY, POSITIVE };

static const PointwiseLoops *loops(void) { return HOT(pointwise_loops)(); }

/* ---- one operand ---- */
typedef struct UnaryJob {
  int row;
  const real *x, *y, *dy;
  real *to, p, q;
  bool add;
  long n;
} UnaryJob;

static int unary_chunk(void *arg, long chunk) {
  const UnaryJob *j = arg;
  long at = chunk * CHUNK, n = least(CHUNK, j->n - at);
  if (j->dy)
    loops()->unary[j->row].backward(n, j->x + at, j->y + at, j->dy + at, j->to + at, j->add, j->p, j->q);
  else
    loops()->unary[j->row].forward(n, j->x + at, j->to + at, j->p, j->q);
  return 1;
}

static int unary_run(UnaryJob *j, const Call *c, real absent_p, real absent_q) {
  j->p = c->arg[0].given ? (real)c->arg[0].n : absent_p;
  j->q = c->arg[1].given ? (real)c->arg[1].n : absent_q;
  j->n = c->in[0]->size;
  return parallel((j->n + CHUNK - 1) / CHUNK, unary_chunk, j);
}

static int unary_shape(Call *c) {
  return want_real(c, 0) && call_out(c, 0, c->dtype, c->in[0]->rank, c->in[0]->shape);
}

static int unary_forward(Call *c, int row, int keep, real p, real q) {
  UnaryJob j = {.row = row, .x = input(c, 0), .to = output(c, 0)};
  if (!j.to || !unary_run(&j, c, p, q)) return 0;
  return !c->training || !(keep & KEEP_Y) || call_save(c, 0, c->out[0]);
}

/* What is not kept is read nowhere; the gradient stands in for it. */
static int unary_backward(Call *c, int row, int keep, real p, real q) {
  UnaryJob j = {.row = row, .dy = grad_out(c, 0)};
  if (!j.dy) return 1;
  j.x = keep & KEEP_X ? input(c, 0) : j.dy;
  j.y = keep & KEEP_Y ? saved(c, 0) : j.dy;
  j.to = call_grad(c, 0, &j.add);
  return j.to && unary_run(&j, c, p, q);
}

static const struct {
  int rank;
  long shape[4];
} unary_samples[] = {{0, {0}}, {1, {7}}, {3, {2, 1, 5}}, {2, {0, 3}}, {4, {2, 3, 5, 7}}};

static int positive(Call *c, int i) {
  real *x = tensor_write(c->in[i]);
  for (long k = 0; x && k < c->in[i]->size; k++) x[k] = RM(fabs)(x[k]) + (real)0.1;
  return x != NULL;
}

static int unary_sample(Call *c, Random *r, int variant, int domain, int args) {
  if (variant >= (int)(sizeof unary_samples / sizeof *unary_samples)) return -1;
  if (!REALNAME(sample_smooth)(c, 0, r, unary_samples[variant].rank, unary_samples[variant].shape, 2))
    return 0;
  if (domain == POSITIVE && !positive(c, 0)) return 0;
  for (int k = 0; k < args; k++)
    if (variant & (1 + k)) sample_arg(c, k, k ? 0.75 : -0.5);
  return 1;
}

/* ---- two operands ---- */
typedef struct BinaryJob {
  int row, side; /* side: 0 or 1 in backward; -1: forward; -2: comparison */
  Broadcast broadcast;
  const real *a, *b, *y, *dy;
  void *to;
  bool add;
} BinaryJob;

static int binary_chunk(void *arg, long chunk) {
  const BinaryJob *j = arg;
  const Broadcast *w = &j->broadcast;
  long at = chunk * CHUNK, end = least(at + CHUNK, w->size), row = w->shape[w->rank - 1];
  int sa = (int)w->step[0][w->rank - 1], sb = (int)w->step[1][w->rank - 1];
  while (at < end) {
    long n = least(row - at % row, end - at);
    const real *a = j->a + broadcast_offset(w, 0, at), *b = j->b + broadcast_offset(w, 1, at);
    if (j->side == -2)
      loops()->compare[j->row](n, a, sa, b, sb, (uint8_t *)j->to + at);
    else if (j->side == -1)
      loops()->binary[j->row].forward(n, a, sa, b, sb, (real *)j->to + at);
    else
      loops()->binary[j->row].backward[j->side](n, a, sa, b, sb, j->y + at, j->dy + at, (real *)j->to + at,
                                                j->add);
    at += n;
  }
  return 1;
}

static int binary_run(BinaryJob *j, const Call *c, int rank, const long *shape) {
  REALNAME(broadcast_start)(&j->broadcast, c->in, 2, rank, shape);
  return j->to && parallel((j->broadcast.size + CHUNK - 1) / CHUNK, binary_chunk, j);
}

static int pair_shape(Call *c, Dtype dtype) {
  int rank;
  long shape[RANK_MAX];
  return REALNAME(broadcast_shape)(c, (const int[]){0, 1}, 2, &rank, shape) &&
         call_out(c, 0, dtype, rank, shape);
}

static int binary_shape(Call *c) { return want_real(c, 0) && want_real(c, 1) && pair_shape(c, c->dtype); }

static int binary_forward(Call *c, int row, int keep) {
  BinaryJob j = {.row = row, .side = -1, .a = input(c, 0), .b = input(c, 1), .to = output(c, 0)};
  if (!binary_run(&j, c, c->out[0]->rank, c->out[0]->shape)) return 0;
  return !c->training || !(keep & KEEP_Y) || call_save(c, 0, c->out[0]);
}

/* The gradient of one side: dy itself, computed in place, or through a temporary that is summed. */
static int binary_side(Call *c, int row, int keep, int side) {
  Tensor *dy = c->grad_out[0], *in = c->in[side];
  bool same = tensor_same_shape(in, dy), pass = keep & (side ? PASS_B : PASS_A), add;
  if (pass && same) return call_grad_is(c, side, dy);
  real *g = call_grad(c, side, &add);
  if (!g) return 0;
  if (pass) return REALNAME(sum_to)(c, grad_out(c, 0), dy->rank, dy->shape, in, g, add);
  BinaryJob j = {.row = row, .side = side, .dy = grad_out(c, 0), .to = g, .add = add};
  /* what is not kept is read nowhere, but must be somewhere */
  j.a = keep & KEEP_A ? input(c, 0) : j.dy;
  j.b = keep & KEEP_B ? input(c, 1) : j.dy;
  j.y = keep & KEEP_Y ? saved(c, 0) : j.dy;
  if (same) return binary_run(&j, c, dy->rank, dy->shape);
  j.to = call_scratch(c, tensor_bytes(dy));
  j.add = false;
  int ok =
      binary_run(&j, c, dy->rank, dy->shape) && REALNAME(sum_to)(c, j.to, dy->rank, dy->shape, in, g, add);
  call_drop(c, j.to);
  return ok;
}

static int binary_backward(Call *c, int row, int keep) {
  if (!c->grad_out[0]) return 1;
  return (!c->needs_grad[0] || binary_side(c, row, keep, 0)) &&
         (!c->needs_grad[1] || binary_side(c, row, keep, 1));
}

static const struct {
  int rank[2];
  long shape[2][4];
} binary_samples[] = {
    {{2, 2}, {{3, 5}, {3, 5}}},
    {{0, 0}, {{0}, {0}}},
    {{1, 0}, {{6}, {0}}},
    {{1, 3}, {{5}, {2, 3, 5}}},
    {{3, 3}, {{4, 1, 3}, {1, 2, 3}}},
    {{2, 2}, {{3, 1}, {1, 4}}},
    {{2, 2}, {{0, 4}, {1, 4}}},
    {{4, 4}, {{2, 3, 3, 4}, {2, 1, 1, 4}}},
    {{2, 1}, {{4, 0}, {1}}},
};

/* Values on two lattices that never meet, so that comparisons and maxima have no ties; none is 0. */
static int pair_sample(Call *c, Random *r, int variant, int domain) {
  if (variant >= (int)(sizeof binary_samples / sizeof *binary_samples)) return -1;
  for (int i = 0; i < 2; i++) {
    if (!sample_input(c, i, r, binary_samples[variant].rank[i], binary_samples[variant].shape[i])) return 0;
    real *x = tensor_write(c->in[i]);
    if (!x) return 0;
    for (long k = 0; k < c->in[i]->size; k++)
      x[k] = RM(rint)(x[k] * 2) * (real)0.4 + (i ? (real)0.2 : (real)0.1);
    if (!i && domain == POSITIVE && !positive(c, 0)) return 0;
  }
  return 1;
}

/* ---- comparisons ---- */
/* Equal real dtypes go through the vector loops. Others are compared as int64, or where a real number takes
 * part as float64: exact, and rarely large. */
static int compare_shape(Call *c) { return pair_shape(c, U8); }

static bool whole(Dtype d) { return d == U8 || d == I32 || d == I64; }

typedef struct MixedJob {
  int row;
  Broadcast broadcast;
  const void *a, *b;
  uint8_t *to;
  bool integers;
} MixedJob;

#define COMPARE_AS(type, f, w)                                                                               \
  for (; at < end; at++) {                                                                                   \
    type a = ((const type *)j->a)[broadcast_offset(w, 0, at)],                                               \
         b = ((const type *)j->b)[broadcast_offset(w, 1, at)];                                               \
    j->to[at] = f;                                                                                           \
  }
#define UNARY(...)
#define BOUNDED(...)
#define BINARY(...)
#define COMPARE(name, doc, f)                                                                                \
  case COMPARE_##name:                                                                                       \
    if (j->integers)                                                                                         \
      COMPARE_AS(int64_t, f, &j->broadcast)                                                                  \
    else                                                                                                     \
      COMPARE_AS(double, f, &j->broadcast)                                                                   \
    break;
static int mixed_chunk(void *arg, long chunk) {
  const MixedJob *j = arg;
  long at = chunk * CHUNK, end = least(at + CHUNK, j->broadcast.size);
  switch (j->row) {
#include "ops/pointwise.def"
  }
  return 1;
}
#undef COMPARE
#undef BINARY
#undef BOUNDED
#undef UNARY

static int compare_forward(Call *c, int row) {
  uint8_t *to = tensor_write(c->out[0]);
  if (c->in[0]->dtype == c->dtype && c->in[1]->dtype == c->dtype) {
    BinaryJob j = {.row = row, .side = -2, .a = input(c, 0), .b = input(c, 1), .to = to};
    return binary_run(&j, c, c->out[0]->rank, c->out[0]->shape);
  }
  bool integers = whole(c->in[0]->dtype) && whole(c->in[1]->dtype);
  Dtype as = integers ? I64 : F64;
  Tensor *a = tensor_cast(c->in[0], as), *b = a ? tensor_cast(c->in[1], as) : NULL;
  int ok = a && b && to;
  if (ok) {
    MixedJob j = {.row = row, .a = tensor_data(a), .b = tensor_data(b), .to = to, .integers = integers};
    REALNAME(broadcast_start)(&j.broadcast, c->in, 2, c->out[0]->rank, c->out[0]->shape);
    ok = parallel((j.broadcast.size + CHUNK - 1) / CHUNK, mixed_chunk, &j);
  }
  tensor_release(a);
  tensor_release(b);
  return ok;
}

/* ---- the rows' descriptors ---- */
#define SHAPE_ONLY_BITS(keep) (((keep)&KEEP_A ? 0u : 1u) | ((keep)&KEEP_B ? 0u : 2u))
#define ROW(n, arguments, help, rule, back, bits)                                                            \
  DESCRIPTOR op_##n = {                                                                                      \
      .name = #n, .args = arguments, .doc = help, .shape = rule, .sample = sample_##n, .shape_only = bits};  \
  const Kernel REALNAME(cpu_##n) = {.forward = forward_##n, .backward = back}
#define UNARY(name, keep, domain, doc, f, dx) ONE(name, keep, domain, "input", 0, 0, 0, doc)
#define BOUNDED(name, keep, args, p, q, doc, f, dx) ONE(name, keep, ANY, args, 2, p, q, doc)
#define ONE(n, keep, domain, arguments, count, p, q, help)                                                   \
  static int forward_##n(Call *c) { return unary_forward(c, UNARY_##n, keep, p, q); }                        \
  static int backward_##n(Call *c) { return unary_backward(c, UNARY_##n, keep, p, q); }                      \
  static int sample_##n(Call *c, Random *r, int v) { return unary_sample(c, r, v, domain, count); }          \
  ROW(n, arguments, help, unary_shape, backward_##n, SHAPE_ONLY_BITS(keep) & 1u);
#define BINARY(n, keep, domain, help, f, da, db)                                                             \
  static int forward_##n(Call *c) { return binary_forward(c, BINARY_##n, keep); }                            \
  static int backward_##n(Call *c) { return binary_backward(c, BINARY_##n, keep); }                          \
  static int sample_##n(Call *c, Random *r, int v) { return pair_sample(c, r, v, domain); }                  \
  ROW(n, "a b", help, binary_shape, backward_##n, SHAPE_ONLY_BITS(keep));
#define COMPARE(n, help, f)                                                                                  \
  static int forward_##n(Call *c) { return compare_forward(c, COMPARE_##n); }                                \
  static int sample_##n(Call *c, Random *r, int v) { return pair_sample(c, r, v, ANY); }                     \
  ROW(n, "*a b", help, compare_shape, NULL, 3);
#include "ops/pointwise.def"
