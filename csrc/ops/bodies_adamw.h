/* AdamW's update, in PyTorch's order of operations. Index i is a block of ADAMW_BLOCK numbers. */
#ifndef OPS_BODIES_ADAMW_H
#define OPS_BODIES_ADAMW_H

#include "ops/hot.h"

#include <math.h>

enum { ADAMW_BLOCK = 256 };

struct adamw_args {
  long n;
  real *p;
  real *m;
  real *v;
  const real *g;
  real beta1, beta2;
  real rest1; /* 1 - beta */
  real rest2;
  real keep; /* 1 - lr weight_decay */
  real rate; /* lr / (1 - beta1^t) */
  real root; /* 1 / sqrt(1 - beta2^t) */
  real eps;
};

BODY void adamw_body(const struct adamw_args *a, long i) {
  long at = i * ADAMW_BLOCK;
  long n = a->n - at < ADAMW_BLOCK ? a->n - at : ADAMW_BLOCK;
  real *restrict p = a->p + at;
  real *restrict m = a->m + at;
  real *restrict v = a->v + at;
  const real *restrict g = a->g + at;
  real beta1 = a->beta1, beta2 = a->beta2, rest1 = a->rest1, rest2 = a->rest2;
  real keep = a->keep, rate = a->rate, root = a->root, eps = a->eps;
  for (long k = 0; k < n; k++) {
    real first = beta1 * m[k] + rest1 * g[k];
    real second = beta2 * v[k] + rest2 * g[k] * g[k];
    m[k] = first;
    v[k] = second;
    p[k] = p[k] * keep - rate * first / (RM(sqrt)(second) * root + eps);
  }
}
HOT_KERNEL(adamw)

#endif
