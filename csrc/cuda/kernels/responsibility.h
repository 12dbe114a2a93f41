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

/* n: hands x pixels x c. partial (2 x hands x parts): losses, and pixels that count. */
LAUNCHER int responsibility_on(CudaStream s, Rows n, const Responsibility *a, float *partial, float *y);
/* dk (+)= the gradient; dy: one number. */
LAUNCHER int responsibility_k_on(CudaStream s, const Responsibility *a, const float *dy, void *dk, bool add);
/* dq += the gradient. partial: rows_sums of 1. */
LAUNCHER int responsibility_q_on(CudaStream s, Rows n, const Responsibility *a, const float *dy,
                                 float *partial, void *dq);

#endif
