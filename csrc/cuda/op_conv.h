/* What ops that convolve share. */
#ifndef CUDA_OP_CONV_H
#define CUDA_OP_CONV_H

#include "cuda/cuda.h"
#include "cuda/kernels/conv.h"

/* Input i as weights of what the call computes in: beside halves float32 is rounded, once, and kept in saved[0] for
 * backward. 0 with a message. */
int cuda_weights(Call *c, int i, ConvWeights *weights);
/* Weights that the call has made in its own dtype. */
static inline ConvWeights own_weights(const Call *c, const void *data) {
  return (ConvWeights){data, c->dtype, c->compute == BF16 && c->dtype == F32};
}

/* As conv_forward_on and conv_data_on (kernels/conv.h), of images in the call's dtype. */
int cuda_conv_forward(Call *c, const ConvShape *s, const void *x, ConvWeights weight, const Epilogue *e,
                      void *y, bool add);
int cuda_conv_data(Call *c, const ConvShape *s, const void *dy, ConvWeights weight, const Epilogue *e,
                   void *dx, bool add);
/* The gradient of the weights of a convolution as it comes, float32 or the call's halves, to be released. NULL with a
 * message. */
Tensor *cuda_conv_weight_new(Call *c, const ConvShape *s, const void *x, const void *dy);

#endif
