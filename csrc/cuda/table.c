/* The CUDA kernels of all ops: float32 and halves, by what their tensors hold. */
#include "cuda/cuda.h"
#include "cuda/widened.h"

#define OP(name) extern const Kernel cuda_##name;
#include "ops/table.h"
#undef OP

enum {
#define OP(name) NUMBER_##name,
#include "ops/table.h"
#undef OP
  OPS
};

static const Kernel *const f32[OPS] = {
#define OP(name) &cuda_##name,
#include "ops/table.h"
#undef OP
};

/* Those that take halves by way of float32. */
#define WIDENED(name)                                                                                        \
  [NUMBER_##name] = {{.forward = widened_forward, .backward = widened_backward}, &cuda_##name}
static const Widened widened[OPS] = {
    WIDENED(attention),   WIDENED(max),       WIDENED(min),        WIDENED(argmax),
    WIDENED(correlation), WIDENED(gru_reset), WIDENED(gru_update), WIDENED(convex_upsample)};

const void *cuda_kernel(int op, Dtype compute) {
  if (dtype_is_half(compute) && widened[op].full) return &widened[op].kernel;
  return compute == F64 ? NULL : f32[op];
}
