/* What matmul computes from shapes and arguments, for every device. */
#ifndef OPS_MATMUL_SIZES_H
#define OPS_MATMUL_SIZES_H

#include "ops/op_kit.h"
#include "ops/product.h"

enum { TA, TB };

static inline long rows(const Tensor *t) { return t->shape[t->rank - 2]; }
static inline long columns(const Tensor *t) { return t->shape[t->rank - 1]; }

/* The call's product, everything checked; 0 with a message. */
static inline int product_of(const Call *c, Product *p) {
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

#endif
