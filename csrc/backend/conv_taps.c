/* Products of the nine taps (see conv_taps.h), in the convolutions' common form. */
#include "backend/conv_taps.h"

#include "backend/conv_parts.h"

/* A group for each tap; all see the same channels. */
int conv_taps(const TapsShape *s, const float *x, const Tensor *weight, float *y, bool reuse) {
  Corr corr = {
      .n = 1,
      .groups = TAPS,
      .h = 1,
      .w = s->pixels,
      .c = s->c,
      .x = x,
      .pixel = s->c,
      .x_group = 0,
      .kh = 1,
      .kw = 1,
      .step_h = 1,
      .step_w = 1,
      .gap_h = 1,
      .gap_w = 1,
      .gh = 1,
      .gw = s->pixels,
      .o = s->o,
      .y = y,
      .y_image = s->pixels * TAPS * s->o,
      .y_row = s->pixels * TAPS * s->o,
      .y_col = TAPS * s->o,
      .weight = tensor_data(weight),
      .w_row = s->w_channels,
      .w_col = s->w_channels,
      .w_in = 1,
      .w_out = TAPS * s->w_channels,
      .w_group = s->w_channels,
  };
  return s->pixels == 0 || conv_compute(&corr, weight, reuse);
}

/* The taps lie side by side like pixels of o channels: a window of nine of them, moved by nine. */
int conv_taps_backward_data(const TapsShape *s, const float *dy, const Tensor *weight, float *dx, bool add) {
  Corr corr = {
      .n = 1,
      .groups = 1,
      .h = 1,
      .w = TAPS * s->pixels,
      .c = s->o,
      .x = dy,
      .pixel = s->o,
      .kh = 1,
      .kw = TAPS,
      .step_h = 1,
      .step_w = TAPS,
      .gap_h = 1,
      .gap_w = 1,
      .gh = 1,
      .gw = s->pixels,
      .o = s->c,
      .y = dx,
      .y_image = s->pixels * s->c,
      .y_row = s->pixels * s->c,
      .y_col = s->c,
      .weight = tensor_data(weight),
      .w_row = TAPS * s->w_channels,
      .w_col = s->w_channels,
      .w_in = TAPS * s->w_channels,
      .w_out = 1,
      .add = add,
  };
  return s->pixels == 0 || conv_compute(&corr, weight, false);
}

int conv_taps_backward_weight(const TapsShape *s, const float *x, const float *dy, float *dw) {
  ConvShape one = {.n = s->pixels > 0,
                   .h = 1,
                   .w = s->pixels,
                   .ci = s->c,
                   .co = TAPS * s->o,
                   .kh = 1,
                   .kw = 1,
                   .stride_h = 1,
                   .stride_w = 1,
                   .dilation_h = 1,
                   .dilation_w = 1,
                   .groups = 1,
                   .ho = 1,
                   .wo = s->pixels};
  return conv_backward_weight(&one, x, dy, dw, false);
}
