/* Normalisation's passes over rows of channels (ops/norm_passes.h): one that adds up, whose last block has what follows
 * from the sums, and one that writes. Lines of channels are of one image after the other, `each` floats apart: 0 where
 * all images share one. Maps (x, y, residual, and what a NormBack has of them) hold numbers of `dtype`, float32 or
 * halves; all else is float32. counters: rows_counters. */
#ifndef CUDA_KERNELS_NORM_H
#define CUDA_KERNELS_NORM_H

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/rows.h"
#include "ops/norm_passes.h"

/* What follows from mean and variance, for every image, or for all of them together; images x channels each. */
typedef struct NormStatistics {
  const float *weight, *bias;        /* NULL: 1, 0 */
  float *running_mean, *running_var; /* may be NULL */
  bool running;                      /* they are what is taken; else they move */
  double momentum, eps;
  float *mean, *inverse; /* 1 / sqrt(var + eps) */
  float *scale, *shift;
  float *means, *pooled; /* unless NULL every image's means of x, and the same sent through batch norm */
  const float *sums,
      *squares; /* of all images' channels and of their squares, where they are known; NULL: they are not */
} NormStatistics;

/* From x, of every image or, `joint`, of all. partial: rows_sums of 2. Where the sums are known x is read for those
 * channels alone whose mean is so far from 0 that the sums have lost the variance's digits. */
LAUNCHER int norm_moments_on(CudaStream s, Rows n, bool joint, Dtype dtype, const void *x, float *partial,
                             unsigned *counters, const NormStatistics *a);
/* From the running statistics. */
LAUNCHER int norm_running_on(CudaStream s, long channels, const NormStatistics *a);

/* What else follows from mean and inverse of so many rows, where these are found already. */
LAUNCHER int norm_line_on(CudaStream s, long channels, long rows, const NormStatistics *a);

/* Beside y its mask can be written: where the activation, not SiLU, has a slope, a bit of each number, a byte for 16 bytes
 * of y, the first number's lowest. Backward then has 1 / 16 of y to read. It takes maps that are moved 16 bytes at a time;
 * what is false here gets none. */
static inline bool norm_may_mask(const Rows *n, Dtype dtype, const void *x, const void *residual,
                                 const void *y) {
  return n->channels % (16 / (long)dtype_bytes[dtype]) == 0 &&
         ((uintptr_t)x | (uintptr_t)residual | (uintptr_t)y) % 16 == 0;
}

/* y = act(scale x + shift + residual), which may be in x's place; scale (1), shift (0), residual and mask may be NULL */
LAUNCHER int norm_apply_on(CudaStream s, Rows n, Dtype dtype, const void *x, const float *scale,
                           const float *shift, long each, const void *residual, Activation act, void *y,
                           unsigned char *mask);

/* What follows from an image's sums of dz and dz (x - mean): slope and offset, as where the statistics are those of
 * `share` = 1 / rows, 0: they are the running ones; and from all images' the gradients of weight and bias, of which
 * either may be NULL. */
typedef struct NormLines {
  const float *inverse;
  double share;
  float *slope, *offset;  /* images x channels */
  float *dweight, *dbias; /* channels */
  bool weight_add, bias_add;
} NormLines;

/* partial: rows_sums of 2. */
LAUNCHER int norm_lines_on(CudaStream s, Rows n, const NormBack *b, Dtype dtype, long each, float *partial,
                           unsigned *counters, const NormLines *to);

/* dx (+)= scale dz + slope (x - mean) + offset; dr (+)= dz */
LAUNCHER int norm_back_on(CudaStream s, Rows n, const NormBack *b, Dtype dtype, long each);

/* ---- few rows: each pass is one launch ---- */

enum { NORM_FEW = 3072 };

/* What norm_moments_on and norm_apply_on give, with statistics of every image. */
LAUNCHER int norm_few_on(CudaStream s, Rows n, Dtype dtype, const void *x, const NormStatistics *a,
                         const void *residual, Activation act, void *y, unsigned char *mask);
/* What norm_lines_on and norm_back_on give, lines `channels` apart; of a single image where there are gradients of
 * weight and bias. */
LAUNCHER int norm_few_back_on(CudaStream s, Rows n, const NormBack *b, Dtype dtype, const NormLines *to);

#endif
