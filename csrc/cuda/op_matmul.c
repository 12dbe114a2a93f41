/* matmul on the GPU (ops/op_matmul.c). */
#include "cuda/op_matmul.h"

#include "cuda/op_kit.h"
#include "ops/matmul_sizes.h"

int cuda_product(Call *c, const Product *p, const void *a, const void *b, void *y, bool add, bool summed) {
  ProductData d = {a, b, y, c->dtype, c->dtype, c->dtype};
  long parts = product_parts(p), each = p->m * p->n, sums = summed ? 1 : p->batch,
       terms = parts * p->batch / sums;
  if (terms == 1) return product_on(stream_of(c), p, 1, d, add, false);
  float *all = call_scratch(c, (size_t)(parts * p->batch * each) * sizeof *all);
  d.y = all, d.y_dtype = F32;
  int ok = all && product_on(stream_of(c), p, parts, d, false, false) &&
           cuda_sum_middle(c, F32, all, 1, terms, sums * each, 1, c->dtype, y, add);
  call_drop(c, all);
  return ok;
}

static int matmul_forward(Call *c) {
  Product p;
  float *y = product_of(c, &p) ? output(c, 0) : NULL;
  return y && cuda_product(c, &p, input(c, 0), input(c, 1), y, false, false);
}

/* da = dy b^T, db = a^T dy, and their transposes. */
static int matmul_backward(Call *c) {
  Product p;
  const float *dy = grad_out(c, 0), *a = input(c, 0), *b = input(c, 1);
  bool add;
  if (!dy) return 1;
  if (!product_of(c, &p)) return 0;
  long step = p.m * p.n;
  if (c->needs_grad[0]) {
    Product g = p.ta ? (Product){p.batch, p.k, p.m, p.n, p.b_step, step, p.tb, true}
                     : (Product){p.batch, p.m, p.k, p.n, step, p.b_step, false, !p.tb};
    float *da = call_grad(c, 0, &add);
    if (!da || !cuda_product(c, &g, p.ta ? b : dy, p.ta ? dy : b, da, add, !p.a_step)) return 0;
  }
  if (c->needs_grad[1]) {
    Product g = p.tb ? (Product){p.batch, p.n, p.k, p.m, step, p.a_step, true, p.ta}
                     : (Product){p.batch, p.k, p.n, p.m, p.a_step, step, !p.ta, false};
    float *db = call_grad(c, 1, &add);
    if (!db || !cuda_product(c, &g, p.tb ? dy : a, p.tb ? a : dy, db, add, !p.b_step)) return 0;
  }
  return 1;
}

const Kernel cuda_matmul = {.forward = matmul_forward, .backward = matmul_backward};
