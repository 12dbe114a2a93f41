/* What the op files of this folder share, beside ops/op_kit.h: sums that gradients need. */
#ifndef CUDA_OP_KIT_H
#define CUDA_OP_KIT_H

#include "cuda/cuda.h"
#include "ops/op_kit.h"

/* As the CPU's of the same names without cuda_ (ops/op_kit.h); x of dtype `from`, y of the same, or
 * one of both of float32. */
int cuda_sum_middle(Call *c, Dtype from, const void *x, long outer, long reduced, long inner, double scale,
                    Dtype to, void *y, bool add);
/* y has t's dtype. */
int cuda_sum_to(Call *c, Dtype from, const void *x, int rank, const long *shape, const Tensor *t, void *y,
                bool add);

#endif
