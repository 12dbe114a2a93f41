/* The CUDA kernels of all ops: each in float32, and in bfloat16 the few that multiply weights. */
#include "cuda/cuda.h"

#define OP(name) extern const Kernel cuda_##name;
#include "ops/table.h"
#undef OP
extern const Kernel cuda_conv2d_bf16, cuda_conv2d_act_bf16, cuda_upconv2d_bf16, cuda_upconv2d_act_bf16;

enum {
#define OP(name) NUMBER_##name,
#include "ops/table.h"
#undef OP
  OPS
};

const void *cuda_kernel(int op, Dtype compute) {
  static const Kernel *const f32[OPS] = {
#define OP(name) &cuda_##name,
#include "ops/table.h"
#undef OP
  };
  static const Kernel *const bf16[OPS] = {[NUMBER_conv2d] = &cuda_conv2d_bf16,
                                          [NUMBER_conv2d_act] = &cuda_conv2d_act_bf16,
                                          [NUMBER_upconv2d] = &cuda_upconv2d_bf16,
                                          [NUMBER_upconv2d_act] = &cuda_upconv2d_act_bf16};
  return compute == F32 ? f32[op] : compute == BF16 ? bf16[op] : NULL;
}
