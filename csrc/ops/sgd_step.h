/* SGD's inputs, and the numbers of one step, for every device. */
#ifndef OPS_SGD_STEP_H
#define OPS_SGD_STEP_H

#include "ops/op_kit.h"

#include "ops/bodies_sgd.h"

enum { PARAMETER, GRADIENT, VELOCITY };
enum { LR, MOMENTUM, DECAY, NESTEROV };

static inline struct sgd_step sgd_step(const Call *c) {
  return (struct sgd_step){.lr = (real)c->arg[LR].n,
                           .momentum = (real)c->arg[MOMENTUM].n,
                           .decay = (real)c->arg[DECAY].n,
                           .nesterov = (real)c->arg[NESTEROV].n};
}

#endif
