/* The responsibility loss (ops/op_responsibility_loss.c). */
#ifndef CUDA_KERNELS_RESPONSIBILITY_H
#define CUDA_KERNELS_RESPONSIBILITY_H

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/refuse.h"
#include "cuda/kernels/rows.h"

typedef struct Responsibility {
  long images, h, w, c, hands;
  const void *q, *k;
  Dtype dtype;                      /* of q, k and their gradients */
  const float *r, *queries, *image; /* image: from 1; NULL: hand m's is m */
  bool through;
  Refusals refusals;
  float *slope, *weight; /* hands x pixels: derivatives by the scores, or NULL; hands: what a pixel counts */
} Responsibility;

/* n: hands x pixels x c, at least one hand. partial (2 x hands x parts): losses, and pixels that count; a counter. */
LAUNCHER int responsibility_on(CudaStream s, Rows n, const Responsibility *a, float *partial,
                               unsigned *counter, float *y);
/* dk, dq (+)= the gradients, either may be NULL; dy: one number. n: images x pixels x c. partial: hands x parts x c;
 * counters: rows_counters. */
LAUNCHER int responsibility_back_on(CudaStream s, Rows n, const Responsibility *a, const float *dy, void *dk,
                                    bool dk_add, void *dq, bool dq_add, float *partial, unsigned *counters);

#endif
