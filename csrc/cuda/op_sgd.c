/* sgd (ops/op_sgd.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/optim.h"
#include "ops/sgd_step.h"

static int sgd_forward(Call *c) {
  float *p = tensor_write(c->in[PARAMETER]), *v = p && c->in[VELOCITY] ? tensor_write(c->in[VELOCITY]) : NULL;
  return p && (v || !c->in[VELOCITY]) &&
         sgd_on(stream_of(c), c->in[PARAMETER]->size, sgd_step(c), p, v, input(c, GRADIENT));
}

const Kernel cuda_sgd = {.forward = sgd_forward};
