/* The CUDA kernels of all ops: each in float32; those that serve halves, too, by what their tensors hold. */
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

/* Whose kernels take halves as they are. */
static const bool halves[OPS] = {
#define UNARY(name, ...) [NUMBER_##name] = true,
#define BOUNDED UNARY
#define BINARY UNARY
#define COMPARE UNARY
#include "ops/pointwise.def"
#undef UNARY
#undef BOUNDED
#undef BINARY
#undef COMPARE
    [NUMBER_reshape] = true,        [NUMBER_permute] = true,
    [NUMBER_transpose] = true,      [NUMBER_select] = true,
    [NUMBER_narrow] = true,         [NUMBER_cat] = true,
    [NUMBER_stack] = true,          [NUMBER_pad_crop] = true,
    [NUMBER_cast] = true,           [NUMBER_batch_norm] = true,
    [NUMBER_batch_norm_se] = true,  [NUMBER_instance_norm] = true,
    [NUMBER_upsample2] = true,      [NUMBER_upsample2_cat] = true,
    [NUMBER_max_pool2d] = true,     [NUMBER_avg_pool2d] = true,
    [NUMBER_global_pool] = true,    [NUMBER_unfold] = true,
    [NUMBER_grid_sample] = true,    [NUMBER_sum] = true,
    [NUMBER_mean] = true,           [NUMBER_var] = true,
    [NUMBER_expand] = true,         [NUMBER_responsibility_loss] = true,
    [NUMBER_embedding_loss] = true, [NUMBER_conv2d] = true,
    [NUMBER_conv2d_act] = true,     [NUMBER_upconv2d] = true,
    [NUMBER_upconv2d_act] = true,
};

/* The others, in float32. */
static const Widened widened[OPS] = {
#define OP(name) {{.forward = widened_forward, .backward = widened_backward}, &cuda_##name},
#include "ops/table.h"
#undef OP
};

const void *cuda_kernel(int op, Dtype compute) {
  if (compute == F32 || (dtype_is_half(compute) && halves[op])) return f32[op];
  return dtype_is_half(compute) ? &widened[op].kernel : NULL;
}
