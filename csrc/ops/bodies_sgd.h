/* Stochastic gradient descent's update, in PyTorch's order of operations. Index i is a block of SGD_BLOCK
 * numbers. */
#ifndef OPS_BODIES_SGD_H
#define OPS_BODIES_SGD_H

#include "ops/hot.h"

enum { SGD_BLOCK = 256 };

struct sgd_args {
  long n;
  real *p;
  real *v; /* NULL: no momentum */
  const real *g;
  real lr, momentum, decay;
  bool nesterov;
};

BODY void sgd_body(const struct sgd_args *a, long i) {
  long at = i * SGD_BLOCK;
  long n = a->n - at < SGD_BLOCK ? a->n - at : SGD_BLOCK;
  real *restrict p = a->p + at;
  const real *restrict g = a->g + at;
  real lr = a->lr, momentum = a->momentum, decay = a->decay;
  bool nesterov = a->nesterov;
  if (a->v) {
    real *restrict v = a->v + at;
    for (long k = 0; k < n; k++) {
      real d = g[k] + decay * p[k], next = momentum * v[k] + d;
      v[k] = next;
      p[k] -= lr * (nesterov ? d + momentum * next : next);
    }
  } else
    for (long k = 0; k < n; k++) p[k] -= lr * (g[k] + decay * p[k]);
}
HOT_KERNEL(sgd)

#endif
