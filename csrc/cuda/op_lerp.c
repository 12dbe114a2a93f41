/* lerp (ops/op_lerp.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/lerp.h"

static int lerp_forward(Call *c) {
  float *to = tensor_write(c->in[0]);
  return to && lerp_on(stream_of(c), c->in[0]->size, (float)c->arg[0].n, c->dtype, to, input(c, 1));
}

const Kernel cuda_lerp = {.forward = lerp_forward};
