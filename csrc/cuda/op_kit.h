/* What the op files of this folder share, beside ops/op_kit.h: sums that gradients need. */
#ifndef CUDA_OP_KIT_H
#define CUDA_OP_KIT_H

#include "cuda/cuda.h"
#include "ops/op_kit.h"

/* As the CPU's of the same names without cuda_ (ops/op_kit.h); numbers of the call's dtype. */
int cuda_sum_middle(Call *c, const void *x, long outer, long reduced, long inner, double scale, void *y,
                    bool add);
int cuda_sum_to(Call *c, const void *x, int rank, const long *shape, const Tensor *t, void *y, bool add);

#endif
