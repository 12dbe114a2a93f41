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
  /* What blocks leave for the last one: rows_sums of CLASSES; images x classes x channels; images x parts x classes;
   * images x parts. */
  float *partial, *total, *counts, *losses;
  unsigned *counters; /* rows_counters */
} Contrast;

/* Each is one launch; there is a channel and an image. */

/* Fills inverse, weight, numbers, count, length and means. */
LAUNCHER int contrast_sums_on(CudaStream s, const Contrast *a);
/* The loss; in training logits and pulls. */
LAUNCHER int contrast_on(CudaStream s, const Contrast *a, float *y);
/* dz (+)= the gradient; dy: one number. */
LAUNCHER int contrast_back_on(CudaStream s, const Contrast *a, const float *dy, void *dz, bool add);

#endif
