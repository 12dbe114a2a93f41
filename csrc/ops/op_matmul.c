/* matmul: products of matrices, or of stacks of them, on the backend's gemm. */
#include "ops/dense.h"
#include "ops/matmul_sizes.h"

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
