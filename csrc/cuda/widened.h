/* Ops on halves that are computed in float32, from copies. */
#ifndef CUDA_WIDENED_H
#define CUDA_WIDENED_H

#include "ops/op.h"

typedef struct Widened {
  Kernel kernel;      /* first: it is what a call has; made of the two functions below */
  const Kernel *full; /* in float32 */
} Widened;

int widened_forward(Call *c);
int widened_backward(Call *c);

#endif
