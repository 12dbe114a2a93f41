/* What batch_norm_se adds to normalisation's passes (kernels/norm.h): the gate of squeeze and excitation, the passes
 * over maps with the gate, before which SiLU may stand, and what stands between the passes. Maps hold numbers of `dtype`.
 * counters: rows_counters. */
#ifndef CUDA_KERNELS_SQUEEZE_EXCITE_H
#define CUDA_KERNELS_SQUEEZE_EXCITE_H

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/norm.h"

/* A layer of the gate: rows x out = (rows x in) wT + bias; and of its backward pass. */
typedef struct SeLayer {
  long rows, in, out;
  const float *a, *w, *bias; /* a: what comes in */
  const float *d;            /* the gradient of what goes out */
  float *dw, *db;            /* the gradients of w and bias; NULL: not wanted */
  bool dw_add, db_add;
} SeLayer;

/* ---- forward ---- */

/* pooled, images x channels: means of u = silu(scale x + shift). partial: rows_sums of 1. */
LAUNCHER int se_pool_on(CudaStream s, Rows n, Dtype dtype, const void *x, const SeLines *l, float *partial,
                        unsigned *counters, float *pooled);
/* y = SiLU or ReLU of the layer; before: its argument. */
LAUNCHER int se_hidden_on(CudaStream s, const SeLayer *first, bool silu, float *before, float *y);
/* y = gate u, or with ReLU relu(gate (scale x + shift) + residual), whose mask (norm.h) is written unless NULL. gate: of the
 * layer's sigmoid, which is written to it; NULL: l has it. */
LAUNCHER int se_apply_on(CudaStream s, Rows n, Dtype dtype, const void *x, const SeLines *l,
                         const SeLayer *second, float *gate, bool silu, const void *residual, void *y,
                         unsigned char *mask);

/* ---- backward ---- */

/* Sums of whole images (SE_SUMS x images x channels), and the gradient of the gate's argument. b: with ReLU `given` is y,
 * or there is its mask, and the other sums follow from the images' means of x. partial: rows_sums of SE_SUMS, with ReLU 2. */
typedef struct SeSums {
  const float *weight, *bias, *inverse, *gate, *means;
  float *sums, *d;
} SeSums;
LAUNCHER int se_sums_on(CudaStream s, Rows n, Dtype dtype, bool silu, const NormBack *b, float *partial,
                        unsigned *counters, const SeSums *to);
/* The gradients of the second layer; h: of the first one's sums, whose argument is `before`. */
LAUNCHER int se_hidden_back_on(CudaStream s, const SeLayer *second, const float *before, bool silu, float *h);
/* Those of the first layer; pool: what every u's gradient has from its image's mean; and slope, offset and the gradients
 * of weight and bias, from the images' sums. */
LAUNCHER int se_pool_back_on(CudaStream s, const SeLayer *first, Rows n, const float *sums, const SeLines *l,
                             float *pool, const NormLines *to);
/* With SiLU dx (+)= scale silu'(v) (gate dy + pool) + slope (x - mean) + offset; with ReLU scale (gate dz + pool) + …,
 * dr (+)= dz */
LAUNCHER int se_back_on(CudaStream s, Rows n, Dtype dtype, bool silu, const NormBack *b, const SeLines *l);

#endif
