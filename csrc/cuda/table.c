/* The CUDA kernels of all ops. They compute in float32; in bfloat16 those that multiply weights. */
#include "cuda/cuda.h"

/* Weak: an op that has none yet is refused by name where it is called. */
#define OP(name)                                                                                             \
  extern const Kernel cuda_##name __attribute__((weak)), cuda_##name##_bf16 __attribute__((weak));
#include "ops/table.h"
#undef OP

const void *cuda_kernel(int op, Dtype compute) {
  static const Kernel *const f32[] = {
#define OP(name) &cuda_##name,
#include "ops/table.h"
#undef OP
  };
  static const Kernel *const bf16[] = {
#define OP(name) &cuda_##name##_bf16,
#include "ops/table.h"
#undef OP
  };
  return compute == F32 ? f32[op] : compute == BF16 ? bf16[op] : NULL;
}
