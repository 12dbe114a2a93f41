/* adamw (ops/op_adamw.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/optim.h"
#include "ops/adamw_step.h"

static int adamw_forward(Call *c) {
  float *p = tensor_write(c->in[PARAMETER]), *m = tensor_write(c->in[FIRST]),
        *v = tensor_write(c->in[SECOND]);
  return p && m && v &&
         adamw_on(stream_of(c), c->in[PARAMETER]->size, adamw_step(c), p, m, v, input(c, GRADIENT));
}

const Kernel cuda_adamw = {.forward = adamw_forward};
