/* AdamW's inputs, and the numbers of one step, for every device. */
#ifndef OPS_ADAMW_STEP_H
#define OPS_ADAMW_STEP_H

#include "ops/op_kit.h"

#include "ops/bodies_adamw.h"

enum { PARAMETER, GRADIENT, FIRST, SECOND };
enum { LR, BETA1, BETA2, EPS, DECAY, STEP };

static inline struct adamw_step adamw_step(const Call *c) {
  double b1 = c->arg[BETA1].n, b2 = c->arg[BETA2].n, lr = c->arg[LR].n, t = c->arg[STEP].n;
  return (struct adamw_step){.beta1 = (real)b1,
                             .beta2 = (real)b2,
                             .rest1 = (real)(1 - b1),
                             .rest2 = (real)(1 - b2),
                             .keep = (real)(1 - lr * c->arg[DECAY].n),
                             .rate = (real)(lr / (1 - pow(b1, t))),
                             .root = (real)(1 / sqrt(1 - pow(b2, t))),
                             .eps = (real)c->arg[EPS].n};
}

#endif
