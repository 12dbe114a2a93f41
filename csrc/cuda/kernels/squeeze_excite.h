/* What batch_norm_se adds to normalisation's passes (kernels/norm.h): the gate of squeeze and excitation, the passes
 * with SiLU between batch norm and the gate, and what stands between the passes. Maps hold numbers of `dtype`. */
#ifndef CUDA_KERNELS_SQUEEZE_EXCITE_H
#define CUDA_KERNELS_SQUEEZE_EXCITE_H

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/rows.h"
#include "ops/norm_passes.h"

/* ---- the gate: rows x in to rows x out ---- */

/* y = a wT + bias through an activation: a sigmoid where `before` is NULL; else SiLU or ReLU, before: its argument. */
LAUNCHER int se_layer_on(CudaStream s, long rows, long in, long out, const float *a, const float *w,
                         const float *bias, bool silu, float *before, float *y);
/* y = d w, times the slope of SiLU or ReLU at `before` unless that is NULL, times scale. */
LAUNCHER int se_layer_back_on(CudaStream s, long rows, long in, long out, const float *d, const float *w,
                              const float *before, bool silu, float scale, float *y);
/* g (+)= dT a: out x in */
LAUNCHER int se_layer_weights_on(CudaStream s, long rows, long in, long out, const float *d, const float *a,
                                 float *g, bool add);

/* ---- forward ---- */

/* partial (rows_sums of 1): sums of u = silu(scale x + shift). */
LAUNCHER int se_pool_on(CudaStream s, Rows n, Dtype dtype, const void *x, const SeLines *l, float *partial);
/* pooled, images x channels: of those sums; or, where means is not NULL, of norm_moments_on's: then means are those
 * of the images' x, and pooled are they sent through batch norm. */
LAUNCHER int se_pooled_on(CudaStream s, Rows n, Dtype dtype, const void *x, const float *partial,
                          const SeLines *l, const float *weight, const float *bias, const float *inverse,
                          float *means, float *pooled);
/* y = gate u */
LAUNCHER int se_apply_on(CudaStream s, Rows n, Dtype dtype, const void *x, const SeLines *l, void *y);
/* scale, shift: images x channels: those of l times the gate. */
LAUNCHER int se_gated_on(CudaStream s, Rows n, const SeLines *l, float *scale, float *shift);

/* ---- backward ---- */

/* partial (rows_sums of SE_SUMS). */
LAUNCHER int se_sums_on(CudaStream s, Rows n, Dtype dtype, const void *x, const void *dy, const SeLines *l,
                        float *partial);
/* Those sums of whole images (SE_SUMS x images x channels), and the gradient of the gate's argument. With means the
 * parts are norm_sums_on's, and the other sums follow from the images' means of x. */
LAUNCHER int se_images_on(CudaStream s, Rows n, const float *partial, const SeLines *l, const float *weight,
                          const float *bias, const float *inverse, const float *means, float *sums, float *d);
/* Batch norm's two sums over all images (2 x channels), and slope and offset as norm_lines_on. */
LAUNCHER int se_lines_on(CudaStream s, Rows n, const float *sums, const SeLines *l, const float *inverse,
                         double share, float *total, float *slope, float *offset);
/* dx (+)= scale silu'(v) (gate dy + pool) + slope (x - mean) + offset */
LAUNCHER int se_back_on(CudaStream s, Rows n, Dtype dtype, const void *x, const void *dy, const SeLines *l,
                        void *dx, bool add);
/* The lines of norm_back_on where nothing but the gate stands behind batch norm: mean, scale, slope, offset, of every
 * image, one behind the other in `lines`. */
LAUNCHER int se_spread_on(CudaStream s, Rows n, const SeLines *l, float *lines);

#endif
