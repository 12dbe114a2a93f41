/* Convolution of channels-last images, forward and backward. float32 runs on our own vector kernels (see the
 * map in conv.c), float64 on the plain path (im2col and OpenBLAS); the plain path in float32 is what tests
 * compare with.
 *
 *   x: n,h,w,ci     weight: co,kh,kw,ci/groups     y: n,ho,wo,co
 *   ho = (h + top + bottom - reach_h) / stride_h + 1, reach_h = (kh - 1) dilation_h + 1
 *
 * Output channel o belongs to group o / (co / groups), which sees input channels of the same group only.
 * Nothing is checked here: the op's shape rule does that. Results do not depend on the number of threads. */
#ifndef BACKEND_CONV_H
#define BACKEND_CONV_H

#include "backend/conv_shape.h"
#include "core/tensor.h"

/* y = act(scale * (x conv weight) + shift + residual). reuse: the weights in the kernels' own order stay with
 * the weight's storage (until its version changes), for inference; training passes false, since weights
 * change at every step. All functions here: 1, or 0 with a message (memory, interrupted). */
int conv_forward(const ConvShape *s, const float *x, const Tensor *weight, const Epilogue *e, float *y,
                 bool reuse);

/* The gradient of x: dx = (or, with add, +=) the transposed convolution of dy (n,ho,wo,co). */
int conv_backward_data(const ConvShape *s, const float *dy, const Tensor *weight, float *dx, bool add);

/* The gradient of the weight (co,kh,kw,ci/groups): dw = or += the correlation of x with dy. A bias gradient
 * is the op's business. */
int conv_backward_weight(const ConvShape *s, const float *x, const float *dy, float *dw, bool add);

/* ---- the plain path ---- */

typedef struct EpilogueF64 {
  const double *scale, *shift, *residual;
  Activation act;
} EpilogueF64;

int conv_forward_f64(const ConvShape *s, const double *x, const double *weight, const EpilogueF64 *e,
                     double *y);
int conv_backward_data_f64(const ConvShape *s, const double *dy, const double *weight, double *dx, bool add);
int conv_backward_weight_f64(const ConvShape *s, const double *x, const double *dy, double *dw, bool add);

/* The same in float32: slow, obvious, for tests. */
int conv_reference_forward(const ConvShape *s, const float *x, const float *weight, const Epilogue *e,
                           float *y);
int conv_reference_backward_data(const ConvShape *s, const float *dy, const float *weight, float *dx,
                                 bool add);
int conv_reference_backward_weight(const ConvShape *s, const float *x, const float *dy, float *dw, bool add);

#endif
