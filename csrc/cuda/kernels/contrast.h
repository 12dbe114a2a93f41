/* The embedding loss (ops/op_embedding_loss.c): passes over the pixels, and what their sums lead to between them. */
#ifndef CUDA_KERNELS_CONTRAST_H
#define CUDA_KERNELS_CONTRAST_H

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/refuse.h"
#include "cuda/kernels/rows.h"

typedef struct Contrast {
  Rows rows;
  long groups; /* sets of class means: 1, or one for each image */
  bool normalise;
  float log_eps;
  double scale;
  const void *z;
  Dtype dtype; /* of z and its gradient */
  const float *label;
  Refusals refusals;
  float *inverse, *logits, *means, *pulls; /* as the CPU's; logits and pulls: NULL unless training */
  float *weight;                           /* images x classes: what one pixel counts */
  float *numbers;                          /* images x classes: how many pixels there are */
  float *count, *length;                   /* groups x classes: pixels, length of the plain mean */
} Contrast;

/* partial (rows_sums of CLASSES): of every class the sum of embeddings; counts (images x parts x CLASSES): of pixels.
 * Fills inverse. */
LAUNCHER int contrast_sums_on(CudaStream s, const Contrast *a, float *partial, float *counts);
/* From counts: numbers and weight; from total, the sums of whole groups: count, length, means. */
LAUNCHER int contrast_means_on(CudaStream s, const Contrast *a, const float *counts, const float *total);
/* Logits; partial (rows_sums of CLASSES): of every class the sum of logits' gradients times embeddings, in training;
 * losses: images x parts. */
LAUNCHER int contrast_on(CudaStream s, const Contrast *a, float *partial, float *losses);
/* The loss; in training, from total, the sums of whole groups, the pulls. */
LAUNCHER int contrast_end_on(CudaStream s, const Contrast *a, const float *losses, const float *total,
                             float *y);
/* dz (+)= the gradient; dy: one number. */
LAUNCHER int contrast_back_on(CudaStream s, const Contrast *a, const float *dy, void *dz, bool add);

#endif
