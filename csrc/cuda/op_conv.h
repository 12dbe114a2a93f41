/* What ops that convolve share. */
#ifndef CUDA_OP_CONV_H
#define CUDA_OP_CONV_H

#include "cuda/cuda.h"
#include "cuda/kernels/conv.h"

/* Input i as weights of what the call computes in. */
static inline ConvWeights call_weights(const Call *c, int i) {
  return (ConvWeights){tensor_data(c->in[i]), c->in[i]->dtype, c->compute == BF16};
}

/* As conv_forward_on and conv_data_on (kernels/conv.h). */
int cuda_conv_forward(Call *c, const ConvShape *s, const float *x, ConvWeights weight, const Epilogue *e,
                      float *y, bool add);
int cuda_conv_data(Call *c, const ConvShape *s, const float *dy, ConvWeights weight, const Epilogue *e,
                   float *dx, bool add);
/* dw (+)= the gradient of the weights of a convolution. */
int cuda_conv_weight(Call *c, const ConvShape *s, const float *x, const float *dy, float *dw, bool add);

#endif
