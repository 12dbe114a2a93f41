/* The public float32 convolutions: which kernel takes which shape. */
#include "backend/conv.h"

int conv_forward(const ConvShape *s, const float *x, const Tensor *weight, const Epilogue *e, float *y,
                 bool reuse) {
  (void)reuse;
  return conv_reference_forward(s, x, tensor_data(weight), e, y);
}

int conv_backward_data(const ConvShape *s, const float *dy, const Tensor *weight, float *dx, bool add) {
  return conv_reference_backward_data(s, dy, tensor_data(weight), dx, add);
}

int conv_backward_weight(const ConvShape *s, const float *x, const float *dy, float *dw, bool add) {
  return conv_reference_backward_weight(s, x, dy, dw, add);
}
