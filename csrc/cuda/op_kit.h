/* What the op files of this folder share, beside ops/op_kit.h: sums that gradients need. */
#ifndef CUDA_OP_KIT_H
#define CUDA_OP_KIT_H

#include "cuda/cuda.h"
#include "ops/op_kit.h"

/* As the CPU's of the same names without cuda_ (ops/op_kit.h). */
int cuda_sum_middle(Call *c, const float *x, long outer, long reduced, long inner, float scale, float *y,
                    bool add);
int cuda_sum_to(Call *c, const float *x, int rank, const long *shape, const Tensor *t, float *y, bool add);

#endif
