/* Stochastic gradient descent's update, in PyTorch's order of operations. Index i is a block of SGD_BLOCK
 * numbers. */
#ifndef OPS_BODIES_SGD_H
#define OPS_BODIES_SGD_H

#include "ops/hot.h"

enum { SGD_BLOCK = 256 };

struct sgd_step {
  real lr, momentum, decay;
  real nesterov; /* 1: so, 0: not */
};

/* Of one number, without momentum and with it. */
BODY void sgd_plain(struct sgd_step s, real *p, real g) { *p -= s.lr * (g + s.decay * *p); }

BODY void sgd_update(struct sgd_step s, real *p, real *v, real g) {
  real d = g + s.decay * *p, next = s.momentum * *v + d;
  *v = next;
  *p -= s.lr * (s.nesterov != 0 ? d + s.momentum * next : next);
}

#ifndef ON_CUDA
struct sgd_args {
  long n;
  real *p;
  real *v; /* NULL: no momentum */
  const real *g;
  struct sgd_step step;
};

BODY void sgd_body(const struct sgd_args *a, long i) {
  long at = i * SGD_BLOCK;
  long n = a->n - at < SGD_BLOCK ? a->n - at : SGD_BLOCK;
  real *restrict p = a->p + at;
  const real *restrict g = a->g + at;
  struct sgd_step step = a->step;
  if (a->v) {
    real *restrict v = a->v + at;
    for (long k = 0; k < n; k++) sgd_update(step, p + k, v + k, g[k]);
  } else
    for (long k = 0; k < n; k++) sgd_plain(step, p + k, g[k]);
}
HOT_KERNEL(sgd)
#endif

#endif
