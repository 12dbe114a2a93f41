/* The kernels of all ops on the CPU: those of the float and of the double build, and the few that compute in
 * bfloat16, on float32 tensors and weights of either kind. CUDA's are its module's. */
#include "ops/kernels.h"

#include "ops/engine.h"

#include <stdlib.h>
#include <string.h>

#define OP(name) extern const Kernel cpu_##name##_f32, cpu_##name##_f64;
#include "ops/table.h"
#undef OP
extern const Kernel cpu_conv2d_bf16, cpu_conv2d_act_bf16, cpu_upconv2d_bf16, cpu_upconv2d_act_bf16;

enum {
#define OP(name) NUMBER_##name,
#include "ops/table.h"
#undef OP
  OPS
};

static const Kernel *const cpu_f32[OPS] = {
#define OP(name) &cpu_##name##_f32,
#include "ops/table.h"
#undef OP
};

static const Kernel *const cpu_f64[OPS] = {
#define OP(name) &cpu_##name##_f64,
#include "ops/table.h"
#undef OP
};

static const Kernel *const cpu_bf16[OPS] = {[NUMBER_conv2d] = &cpu_conv2d_bf16,
                                            [NUMBER_conv2d_act] = &cpu_conv2d_act_bf16,
                                            [NUMBER_upconv2d] = &cpu_upconv2d_bf16,
                                            [NUMBER_upconv2d_act] = &cpu_upconv2d_act_bf16};

static const Kernel *const *const cpu[DTYPES] = {[F32] = cpu_f32, [F64] = cpu_f64, [BF16] = cpu_bf16};

/* A guard has the CPU's kernels, but those that tests take from it: COHESIV_GUARD_LACKS="exp conv2d". */
static bool guard_lacks(int op) {
  static const char *const names[OPS] = {
#define OP(name) #name,
#include "ops/table.h"
#undef OP
  };
  const char *list = getenv("COHESIV_GUARD_LACKS");
  size_t n = strlen(names[op]);
  for (const char *s = list; s && (s = strstr(s, names[op])); s += n)
    if ((s == list || s[-1] == ' ') && (s[n] == ' ' || !s[n])) return true;
  return false;
}

const Kernel *op_kernel(int op, DeviceKind kind, Dtype compute) {
  if (kind == DEVICE_CUDA) /* those that take any dtype have one kernel for all */
    return device_module(kind)->kernel(op, compute == F64 && op_info(op)->any_dtype ? F32 : compute);
  if (kind == DEVICE_GUARD && guard_lacks(op)) return NULL;
  return cpu[compute] ? cpu[compute][op] : NULL;
}
