/* How long cuDNN's suggestions for a problem take on the device, beside each other and beside kernels of our own. */
#ifndef CUDA_MEASURE_H
#define CUDA_MEASURE_H

#include "cuda/plans.h"

typedef struct Measured {
  Plan *best;           /* NULL: none */
  bool apart;           /* what does the same without it was measured */
  float fastest, usual; /* milliseconds of what is taken, and of the usual */
} Measured;

/* The fastest of the first suggestions that work. The usual is `apart`, or, where that is NULL, the first of them; what
 * is taken in its place needs less than 95 % of its time, and where there is an `apart` gives what that does. Results
 * of plans go elsewhere, those of `apart` to data. What cannot be measured, where memory is short too, comes to nothing. */
void plan_measure(Call *c, const Problem *p, void *handle, const void *const *data, const Apart *apart,
                  Measured *m);

#endif
