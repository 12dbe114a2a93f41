/* Activations at one number, as ops/bodies_norm.h has them, for kernels. C++. */
#ifndef CUDA_KERNELS_ACTIVATION_H
#define CUDA_KERNELS_ACTIVATION_H

#include "cuda/launch.h"

#include "backend/activation.h"
#include "ops/bodies_math.h"

static __device__ inline float activated(Activation act, float v) {
  switch (act) {
  case ACT_NONE: return v;
  case ACT_SILU: return SILU(v);
  case ACT_RELU6: return v < 0 ? 0 : v > 6 ? 6 : v;
  default: return v < 0 ? 0 : v;
  }
}

/* d times the derivative at v; of all but SiLU the value at v will do, too. */
static __device__ inline float activation_back(Activation act, float v, float d) {
  switch (act) {
  case ACT_NONE: return d;
  case ACT_SILU: return d * SILU_SLOPE(v, SIGMOID(v));
  case ACT_RELU6: return v > 0 && v < 6 ? d : 0;
  default: return v > 0 ? d : 0;
  }
}

#endif
