/* gradient_factor (ops/op_gradient_factor.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/update.h"
#include "ops/gradient_factor.h"

static int gradient_factor_forward(Call *c) {
  struct gradient_factor_args a;
  return gradient_factor_read(c, &a) && gradient_factor_on(stream_of(c), &a);
}

const Kernel cuda_gradient_factor = {.forward = gradient_factor_forward};
