/* Moving elements. What is written lies in one piece and each thread writes a unit of it: 16 bytes where all sizes and
 * addresses are such, else as many as they allow. `add` adds numbers: real
 * ones, halves by way of float32. */
#ifndef CUDA_KERNELS_SHAPE_H
#define CUDA_KERNELS_SHAPE_H

#include "cuda/kernels/kernels.h"
#include "ops/walk.h"

/* to[at] (+)= from[sum of index * stride], at running over the walk; elements of any dtype. */
LAUNCHER int gather_on(CudaStream s, const Walk *w, Dtype dtype, const void *from, void *to, bool add);

/* Rows of one piece of every input. */
enum { JOIN_MOST = 10 };
typedef struct Join {
  int count;
  const void *from[JOIN_MOST];
  long piece[JOIN_MOST]; /* bytes */
} Join;
LAUNCHER int join_on(CudaStream s, const Join *j, long rows, void *to);

/* Images of h x w elements from ones of another size, whose first column comes to stand at column `skip`; where they
 * end there are zeros, or, with add, stays what is there. */
typedef struct Reframe {
  long images, h, w;
  long from_h, from_w, skip;
} Reframe;
LAUNCHER int reframe_on(CudaStream s, const Reframe *f, Dtype dtype, const void *from, void *to, bool add);

#endif
