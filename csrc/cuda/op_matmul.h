/* Products of matrices, for ops. */
#ifndef CUDA_OP_MATMUL_H
#define CUDA_OP_MATMUL_H

#include "cuda/cuda.h"
#include "cuda/kernels/product.h"

/* y (+)= the products of a stack, one behind the other, or with `summed` their sum. */
int cuda_product(Call *c, const Product *p, const float *a, const float *b, float *y, bool add, bool summed);

#endif
