/* The nine taps of a 3 x 3 kernel as products of their own, each with all channels of an image:
 *
 *   y[p, tap o + k] = sum over c of x[p, c] w[k, tap, c]        p: pixels, tap: 0 … 8, k: 0 … o-1
 *
 * What a convolution of a map that was up-sampled by repeating pixels comes down to, at the map's own
 * resolution: a quarter of the multiplications (see ops/op_upconv.c). Weights are o,3,3,w_channels; the first
 * c of their channels take part. Results do not depend on the number of threads. */
#ifndef BACKEND_CONV_TAPS_H
#define BACKEND_CONV_TAPS_H

#include "core/tensor.h"

enum { TAPS = 9 };

typedef struct TapsShape {
  long pixels, c, o, w_channels;
} TapsShape;

/* All functions: 1, or 0 with a message. y: pixels, 9 o. reuse: as in conv_forward. */
int conv_taps(const TapsShape *s, const float *x, const Tensor *weight, float *y, bool reuse);
/* dx (pixels, c) = or += the transposed product of dy (pixels, 9 o). */
int conv_taps_backward_data(const TapsShape *s, const float *dy, const Tensor *weight, float *dx, bool add);
/* dw (9 o, c; tap before output channel) = the product of dy transposed and x. */
int conv_taps_backward_weight(const TapsShape *s, const float *x, const float *dy, float *dw);

#endif
