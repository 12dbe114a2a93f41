/* matmul: products of matrices, or of stacks of them, on the backend's gemm. */
#include "ops/op_kit.h"

#include "ops/dense.h"

enum { TA, TB };

/* c (+)= op(a) op(b): one product of the stack; a stack of 1 on one side serves all of the other. */
typedef struct Product {
  long batch, m, n, k, a_step, b_step; /* steps from one matrix to the next: 0 when shared */
  bool ta, tb;
} Product;

static long rows(const Tensor *t) { return t->shape[t->rank - 2]; }
static long columns(const Tensor *t) { return t->shape[t->rank - 1]; }

static int product_of(const Call *c, Product *p) {
  const Tensor *a = c->in[0], *b = c->in[1];
  for (int i = 0; i < 2; i++) {
    if (!want_real(c, i)) return 0;
    if (c->in[i]->rank < 2)
      return call_fail(c, "%s: expected at least 2 dimensions, found %s", i ? "b" : "a",
                       tensor_text(c->in[i]));
  }
  p->ta = c->arg[TA].n != 0;
  p->tb = c->arg[TB].n != 0;
  p->m = p->ta ? columns(a) : rows(a);
  p->k = p->ta ? rows(a) : columns(a);
  p->n = p->tb ? rows(b) : columns(b);
  long na = extent(a->shape, 0, a->rank - 2), nb = extent(b->shape, 0, b->rank - 2);
  bool fits = p->k == (p->tb ? columns(b) : rows(b));
  if (a->rank > 2 && b->rank > 2)
    fits = fits && a->rank == b->rank && !memcmp(a->shape, b->shape, sizeof(long) * (size_t)(a->rank - 2));
  if (!fits)
    return call_fail(c, "shapes: expected matrices whose inner sizes agree%s, found %s%s and %s%s",
                     a->rank > 2 && b->rank > 2 ? ", in stacks of one shape" : "", tensor_text(a),
                     p->ta ? " (transposed)" : "", tensor_text(b), p->tb ? " (transposed)" : "");
  p->batch = a->rank > 2 ? na : nb;
  p->a_step = a->rank > 2 ? p->m * p->k : 0;
  p->b_step = b->rank > 2 ? p->k * p->n : 0;
  if (!p->b_step && !p->ta && p->a_step) { /* a stack times one matrix is one tall matrix */
    p->m *= p->batch;
    p->batch = 1;
  }
  return 1;
}

static int matmul_shape(Call *c) {
  Product p;
  long shape[RANK_MAX];
  if (!product_of(c, &p)) return 0;
  const Tensor *stack = c->in[0]->rank > 2 ? c->in[0] : c->in[1];
  memcpy(shape, stack->shape, sizeof shape);
  shape[stack->rank - 2] = p.ta ? columns(c->in[0]) : rows(c->in[0]);
  shape[stack->rank - 1] = p.n;
  return call_out(c, 0, c->dtype, stack->rank, shape);
}

static double matmul_flops(const Call *c) {
  Product p;
  return product_of(c, &p) ? 2.0 * (double)(p.batch * p.m * p.n) * (double)p.k : 0;
}

static int matmul_forward(Call *c) {
  Product p;
  real *y = product_of(c, &p) ? output(c, 0) : NULL;
  const real *a = input(c, 0), *b = input(c, 1);
  for (long i = 0; y && i < p.batch; i++)
    if (!dense(p.ta, p.tb, p.m, p.n, p.k, a + i * p.a_step, b + i * p.b_step, y + i * p.m * p.n, false))
      return 0;
  return y != NULL;
}

static int matmul_backward(Call *c) {
  Product p;
  const real *dy = grad_out(c, 0);
  if (!dy) return 1;
  if (!product_of(c, &p)) return 0;
  const real *a = input(c, 0), *b = input(c, 1);
  real *g[2] = {NULL, NULL};
  bool add[2] = {false, false};
  for (int i = 0; i < 2; i++)
    if (c->needs_grad[i]) {
      if (!(g[i] = call_grad(c, i, &add[i]))) return 0;
      if (p.batch == 0 && !add[i]) memset(g[i], 0, tensor_bytes(c->in[i]));
    }
  for (long i = 0; i < p.batch; i++) {
    const real *d = dy + i * p.m * p.n, *ai = a + i * p.a_step, *bi = b + i * p.b_step;
    bool add_a = add[0] || (i && !p.a_step), add_b = add[1] || (i && !p.b_step);
    real *ga = g[0] ? g[0] + i * p.a_step : NULL, *gb = g[1] ? g[1] + i * p.b_step : NULL;
    int ok = 1; /* da = dy b^T, db = a^T dy, and their transposes */
    if (ga)
      ok = p.ta ? dense(p.tb, true, p.k, p.m, p.n, bi, d, ga, add_a)
                : dense(false, !p.tb, p.m, p.k, p.n, d, bi, ga, add_a);
    if (ok && gb)
      ok = p.tb ? dense(true, p.ta, p.n, p.k, p.m, d, ai, gb, add_b)
                : dense(!p.ta, false, p.k, p.n, p.m, ai, d, gb, add_b);
    if (!ok) return 0;
  }
  return 1;
}

static int matmul_sample(Call *c, Random *r, int variant) {
  static const struct {
    int ta, tb, rank[2];
    long shape[2][3];
  } samples[] = {{0, 0, {2, 2}, {{3, 4}, {4, 5}}},       {1, 0, {2, 2}, {{4, 3}, {4, 5}}},
                 {0, 1, {2, 2}, {{3, 4}, {5, 4}}},       {1, 1, {2, 2}, {{4, 3}, {5, 4}}},
                 {0, 0, {3, 3}, {{2, 3, 4}, {2, 4, 5}}}, {0, 0, {3, 2}, {{2, 3, 4}, {4, 5}}},
                 {1, 0, {2, 3}, {{4, 3}, {2, 4, 2}}},    {0, 1, {3, 3}, {{2, 1, 3}, {2, 1, 3}}},
                 {1, 0, {3, 2}, {{3, 2, 4}, {2, 3}}},    {0, 0, {2, 2}, {{0, 3}, {3, 2}}},
                 {0, 0, {2, 2}, {{2, 0}, {0, 3}}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  sample_arg(c, TA, samples[variant].ta);
  sample_arg(c, TB, samples[variant].tb);
  return sample_input(c, 0, r, samples[variant].rank[0], samples[variant].shape[0]) &&
         sample_input(c, 1, r, samples[variant].rank[1], samples[variant].shape[1]);
}

DESCRIPTOR op_matmul = {
    .name = "matmul",
    .args = "a b ta=false tb=false",
    .doc =
        "matrix product of the last two dimensions; stacks of matrices, or a stack and one; ta, tb transpose",
    .shape = matmul_shape,
    .sample = matmul_sample,
    .flops = matmul_flops};
const Kernel REALNAME(cpu_matmul) = {.forward = matmul_forward, .backward = matmul_backward};
