/* AdamW's update, in PyTorch's order of operations. Index i is a block of ADAMW_BLOCK numbers. */
#ifndef OPS_BODIES_ADAMW_H
#define OPS_BODIES_ADAMW_H

#include "ops/hot.h"

#include <math.h>

enum { ADAMW_BLOCK = 256 };

struct adamw_step {
  real beta1, beta2;
  real rest1; /* 1 - beta */
  real rest2;
  real keep; /* 1 - lr weight_decay */
  real rate; /* lr / (1 - beta1^t) */
  real root; /* 1 / sqrt(1 - beta2^t) */
  real eps;
};

/* Of one number. */
BODY void adamw_update(struct adamw_step s, real *p, real *m, real *v, real g) {
  real first = s.beta1 * *m + s.rest1 * g;
  real second = s.beta2 * *v + s.rest2 * g * g;
  *m = first;
  *v = second;
  *p = *p * s.keep - s.rate * first / (RM(sqrt)(second) * s.root + s.eps);
}

#ifndef ON_CUDA
struct adamw_args {
  long n;
  real *p;
  real *m;
  real *v;
  const real *g;
  struct adamw_step step;
};

BODY void adamw_body(const struct adamw_args *a, long i) {
  long at = i * ADAMW_BLOCK;
  long n = a->n - at < ADAMW_BLOCK ? a->n - at : ADAMW_BLOCK;
  real *restrict p = a->p + at;
  real *restrict m = a->m + at;
  real *restrict v = a->v + at;
  const real *restrict g = a->g + at;
  struct adamw_step step = a->step;
  for (long k = 0; k < n; k++) adamw_update(step, p + k, m + k, v + k, g[k]);
}
HOT_KERNEL(adamw)
#endif

#endif
