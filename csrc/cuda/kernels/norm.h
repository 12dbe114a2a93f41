/* Normalisation's passes over rows of channels (ops/norm_passes.h), and what stands between them. Lines of channels
 * are of one image after the other, `each` floats apart: 0 where all images share one. Maps (x, y, residual, and what a
 * NormBack has of them) hold numbers of `dtype`, float32 or halves; all else is float32. */
#ifndef CUDA_KERNELS_NORM_H
#define CUDA_KERNELS_NORM_H

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/rows.h"
#include "ops/norm_passes.h"

/* partial (rows_sums of 2): mean, counted from the first row's number, and squared differences of every part's
 * channels. */
LAUNCHER int norm_moments_on(CudaStream s, Rows n, Dtype dtype, const void *x, float *partial);

/* What follows from them, for every image, or, `joint`, for all of them together; images x channels each. */
typedef struct NormStatistics {
  const float *partial; /* of norm_moments_on; NULL: the running statistics are taken */
  const void *x;
  Dtype dtype;                       /* x's */
  const float *weight, *bias;        /* NULL: 1, 0 */
  float *running_mean, *running_var; /* moved unless partial is NULL; may be NULL */
  double momentum, eps;
  float *mean, *inverse; /* 1 / sqrt(var + eps) */
  float *scale, *shift;
} NormStatistics;
LAUNCHER int norm_statistics_on(CudaStream s, Rows n, bool joint, const NormStatistics *a);

/* y = act(scale x + shift + residual); residual may be NULL */
LAUNCHER int norm_apply_on(CudaStream s, Rows n, Dtype dtype, const void *x, const float *scale,
                           const float *shift, long each, const void *residual, Activation act, void *y);

/* partial (rows_sums of 2): sums of dz and dz (x - mean). */
LAUNCHER int norm_sums_on(CudaStream s, Rows n, const NormBack *b, Dtype dtype, long each, float *partial);

/* What follows from them for every image: the sums themselves (2 x images x channels), and slope and offset, as
 * where the statistics are those of `share` = 1 / rows; 0: they are the running ones. */
LAUNCHER int norm_lines_on(CudaStream s, Rows n, const float *partial, const float *inverse,
                           const float *scale, double share, float *sums, float *slope, float *offset);

/* The gradients of weight and bias from such sums; either may be NULL. */
LAUNCHER int norm_weights_on(CudaStream s, long images, long channels, const float *sums,
                             const float *inverse, float *dweight, bool weight_add, float *dbias,
                             bool bias_add);

/* dx (+)= scale dz + slope (x - mean) + offset; dr (+)= dz */
LAUNCHER int norm_back_on(CudaStream s, Rows n, const NormBack *b, Dtype dtype, long each);

#endif
