/* Updates of parameters in place. */
#ifndef CUDA_KERNELS_OPTIM_H
#define CUDA_KERNELS_OPTIM_H

#include "cuda/kernels/kernels.h"
#include "ops/bodies_adamw.h"
#include "ops/bodies_sgd.h"

LAUNCHER int adamw_on(CudaStream s, long n, struct adamw_step step, float *p, float *m, float *v,
                      const float *g);
/* v: NULL without momentum. */
LAUNCHER int sgd_on(CudaStream s, long n, struct sgd_step step, float *p, float *v, const float *g);
/* to += share (from - to) */
LAUNCHER int lerp_on(CudaStream s, long n, float share, float *to, const float *from);

#endif
