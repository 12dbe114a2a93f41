/* Products of dense matrices (ops/product.h). */
#ifndef CUDA_KERNELS_PRODUCT_H
#define CUDA_KERNELS_PRODUCT_H

#include "cuda/kernels/kernels.h"
#include "ops/product.h"

/* Into how many parts the depth is cut, so that there is work for all of a GPU. */
LAUNCHER long product_parts(const Product *p);
/* Factors and result, each of float32 or halves. */
typedef struct ProductData {
  const void *a, *b;
  void *y;
  Dtype a_dtype, b_dtype, y_dtype;
} ProductData;
/* y: parts, batch, m, n (with `add`: +=); 0 .. 1 is what `limited` leaves of each number. */
LAUNCHER int product_on(CudaStream s, const Product *p, long parts, ProductData d, bool add, bool limited);

/* g = dy where 0 < y < 1, else 0: the gradient of what was limited. */
LAUNCHER int limited_backward_on(CudaStream s, long n, const float *y, const float *dy, float *g);

#endif
