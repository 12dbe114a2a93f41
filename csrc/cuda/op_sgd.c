/* sgd (ops/op_sgd.c), of any number of parameters in one launch. */
#include "cuda/update.h"

#include "ops/sgd_step.h"

static int sgd_each(Call *calls, int n) {
  return cuda_update(calls, n, UPDATE_SGD, (const int[]){PARAMETER, VELOCITY, NO_STATE, GRADIENT});
}

static int sgd_forward(Call *c) { return sgd_each(c, 1); }

const Kernel cuda_sgd = {.forward = sgd_forward, .each = sgd_each};
