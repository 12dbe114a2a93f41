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

/* What sums want that are computed in parts: floats of scratch memory and counters (kernels/last.h); 0 where there is work
 * for all of a GPU as it is. */
typedef struct ConvRoom {
  size_t floats;
  long counters;
} ConvRoom;

/* Of the next two for this shape. */
LAUNCHER ConvRoom conv_room(bool data, const ConvShape *shape);
/* y = act(scale * (sum + x conv weight) + shift + residual), where sum is what y holds with `add`, else 0. Without
 * scratch memory (NULL) slower. */
LAUNCHER int conv_forward_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *x,
                             ConvWeights weight, const Epilogue *e, void *y, bool add, float *scratch,
                             unsigned *counters);
/* The same of dx and the transposed convolution of dy. */
LAUNCHER int conv_data_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *dy,
                          ConvWeights weight, const Epilogue *e, void *dx, bool add, float *scratch,
                          unsigned *counters);
/* dw (+)= the gradient of the weights; and what it wants for these images. */
LAUNCHER ConvRoom conv_weight_room(const ConvShape *shape, const void *x, const void *gradient);
LAUNCHER int conv_weight_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *x,
                            const void *gradient, float *dw, bool add, float *scratch, unsigned *counters);

#endif
