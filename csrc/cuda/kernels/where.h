/* Choosing between two operands, number by number. */
#ifndef CUDA_KERNELS_WHERE_H
#define CUDA_KERNELS_WHERE_H

#include "cuda/kernels/kernels.h"

/* Condition and operands as steps over the output's shape; a step of 0 repeats. */
enum { CHOICE_RANK = 8 };
typedef struct Choice {
  int rank;
  long size, shape[CHOICE_RANK], step[3][CHOICE_RANK];
} Choice;

/* y = 1 where x is not 0, else 0. */
LAUNCHER int truth_on(CudaStream s, long n, const double *x, uint8_t *y);
/* y = a where the condition is not 0, else b; elements of 1, 2, 4 or 8 bytes. */
LAUNCHER int where_on(CudaStream s, const Choice *w, size_t bytes, const uint8_t *cond, const void *a,
                      const void *b, void *y);
/* g (+)= dy where the condition is not 0 (side 0) or is 0 (side 1), else 0; of `dtype`. */
LAUNCHER int where_back_on(CudaStream s, const Choice *w, Dtype dtype, int side, const uint8_t *cond,
                           const void *dy, void *g, bool add);

#endif
