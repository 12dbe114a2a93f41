/* adamw (ops/op_adamw.c), of any number of parameters in one launch. */
#include "cuda/update.h"

#include "ops/adamw_step.h"

static int adamw_each(Call *calls, int n) {
  return cuda_update(calls, n, UPDATE_ADAMW, (const int[]){PARAMETER, FIRST, SECOND, GRADIENT});
}

static int adamw_forward(Call *c) { return adamw_each(c, 1); }

const Kernel cuda_adamw = {.forward = adamw_forward, .each = adamw_each};
