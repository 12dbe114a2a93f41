/* Products of matrices, for ops. */
#ifndef CUDA_OP_MATMUL_H
#define CUDA_OP_MATMUL_H

#include "cuda/cuda.h"
#include "cuda/kernels/product.h"

/* y (+)= the products of a stack, one behind the other, or with `summed` their sum; all in the call's dtype. */
int cuda_product(Call *c, const Product *p, const void *a, const void *b, void *y, bool add, bool summed);

#endif
