/* Convolutions of channels-last images (backend/conv_shape.h), forward and backward. What reads an image, forward and
 * the gradient of the images, ends with the epilogue, which may be NULL. Images, and the epilogue's residual, are of `dtype`, float32 or halves. */
#ifndef CUDA_KERNELS_CONV_H
#define CUDA_KERNELS_CONV_H

#include "backend/conv_shape.h"
#include "cuda/kernels/kernels.h"

typedef struct ConvWeights {
  const void *data; /* co, kh, kw, channels (ConvShape) */
  Dtype dtype;      /* float32 or halves */
  bool round;       /* images, of float32, are rounded to bfloat16 before they are multiplied */
} ConvWeights;

/* How many floats of scratch memory the next two want for this shape: 0 where there is work for all of a GPU as it is,
 * else room for sums that are computed in parts. */
LAUNCHER size_t conv_scratch(bool data, const ConvShape *shape);
/* y = act(scale * (sum + x conv weight) + shift + residual), where sum is what y holds with `add`, else 0. Without
 * scratch memory (NULL) slower. */
LAUNCHER int conv_forward_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *x,
                             ConvWeights weight, const Epilogue *e, void *y, bool add, float *scratch);
/* The same of dx and the transposed convolution of dy. */
LAUNCHER int conv_data_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *dy,
                          ConvWeights weight, const Epilogue *e, void *dx, bool add, float *scratch);
/* The gradient of the weights comes in parts, of some pixels each: so many for this shape, … */
LAUNCHER long conv_weight_parts(const ConvShape *shape);
/* … each the size of the weights, behind each other in dw; a single one may be added to what is there. */
LAUNCHER int conv_weight_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *x,
                            const void *gradient, float *dw, bool add);

#endif
