/* What a convolution is in numbers, and what may follow it in the same pass: for every device. */
#ifndef BACKEND_CONV_SHAPE_H
#define BACKEND_CONV_SHAPE_H

#include "backend/activation.h"

#include <stdbool.h>

/* All sizes in elements; n, h, w, ci and co may be 0, and ho, wo >= 1 follow from the rest as written above;
 * how many zeros lie below and on the right of the image, they say. Strides and dilations are 1 or more; a
 * dilation of one place of the kernel alone is 1. */
typedef struct ConvShape {
  long n, h, w, ci, co, kh, kw, groups, ho, wo;
  long stride_h, stride_w, dilation_h, dilation_w, top, left;
  /* Of weights that see more channels than these: where they begin, and how many there are (0: ci / groups).
   * For conv_forward and conv_backward_data. */
  long w_first, w_channels;
} ConvShape;

/* Rows and columns from a window's first place to behind its last. */
static inline long conv_reach_h(const ConvShape *s) { return (s->kh - 1) * s->dilation_h + 1; }
static inline long conv_reach_w(const ConvShape *s) { return (s->kw - 1) * s->dilation_w + 1; }

/* Whether there is a number to multiply: without one, results are what the epilogue makes of 0. */
static inline bool conv_reads(const ConvShape *s) { return s->n && s->h && s->w && s->ci && s->co; }

/* What is done with a result while it is in registers: y = act(scale * conv + shift + residual). A bias is
 * shift alone, a folded batch norm scale and shift. A NULL Epilogue does nothing. */
typedef struct Epilogue {
  const float *scale, *shift; /* co each, or NULL */
  const float *residual;      /* n,ho,wo,co like y, not overlapping it, or NULL */
  Activation act;
} Epilogue;

#endif
