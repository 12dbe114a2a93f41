/* gradient_factor's arguments, for every device. */
#ifndef OPS_GRADIENT_FACTOR_H
#define OPS_GRADIENT_FACTOR_H

#include "ops/op_kit.h"

#include "ops/bodies_gradient_factor.h"

enum { TOTAL, STEP, SCALE, GOOD };
enum { LIMIT };

/* 0 with a message: no memory. */
static inline int gradient_factor_read(Call *c, struct gradient_factor_args *a) {
  real *to[] = {NULL, NULL, NULL, NULL};
  for (int i = STEP; i <= GOOD; i++) {
    to[i] = c->in[i] ? tensor_write(c->in[i]) : NULL;
    if (c->in[i] && !to[i]) return 0;
  }
  *a = (struct gradient_factor_args){.total = input(c, TOTAL),
                                     .limit = (real)c->arg[LIMIT].n,
                                     .step = to[STEP],
                                     .scale = to[SCALE],
                                     .good = to[GOOD]};
  return 1;
}

#endif
