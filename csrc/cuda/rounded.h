/* What round_weights keeps. */
#ifndef CUDA_ROUNDED_H
#define CUDA_ROUNDED_H

#include "cuda/cuda.h"

/* A tensor of float32 rounded to halves, as it is now; NULL: nothing is kept. */
const Tensor *cuda_rounded(const Tensor *t, Dtype dtype);

#endif
