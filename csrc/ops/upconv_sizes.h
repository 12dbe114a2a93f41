/* What upconv2d and upconv2d_act compute from shapes, for every device. */
#ifndef OPS_UPCONV_SIZES_H
#define OPS_UPCONV_SIZES_H

#include "backend/conv_shape.h"
#include "ops/op_kit.h"

enum { INPUT, WEIGHT, SKIP, SCALE, SHIFT };

/* n images, h x w pixels of the map, its c channels, those of skip, o output channels */
typedef struct UpShape {
  long n, h, w, c, skip, o;
} UpShape;

static inline UpShape up_shape(const Call *c) {
  const long *x = c->in[INPUT]->shape;
  return (UpShape){x[0], x[1], x[2], x[3], c->in[SKIP] ? c->in[SKIP]->shape[3] : 0, c->in[WEIGHT]->shape[0]};
}

/* The convolution at full resolution of `channels` channels. */
static inline ConvShape full_shape(const UpShape *s, long channels) {
  return (ConvShape){.n = s->n,
                     .h = 2 * s->h,
                     .w = 2 * s->w,
                     .ci = channels,
                     .co = s->o,
                     .kh = 3,
                     .kw = 3,
                     .stride_h = 1,
                     .stride_w = 1,
                     .dilation_h = 1,
                     .dilation_w = 1,
                     .top = 1,
                     .left = 1,
                     .groups = 1,
                     .ho = 2 * s->h,
                     .wo = 2 * s->w};
}

/* The convolution of skip, whose weights lie behind the map's. */
static inline ConvShape skip_shape(const UpShape *s) {
  ConvShape c = full_shape(s, s->skip);
  c.w_first = s->c;
  c.w_channels = s->c + s->skip;
  return c;
}

#endif
