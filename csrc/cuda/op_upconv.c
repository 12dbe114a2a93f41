/* upconv2d and upconv2d_act on the GPU (ops/op_upconv.c): the transposed convolution of the map (kernels/upconv.h) and
 * the convolution of skip, one added to the other. */
#include "cuda/op_kit.h"

#include "cuda/kernels/upconv.h"
#include "cuda/op_conv.h"
#include "ops/upconv_sizes.h"

enum { KEPT_TAPS };

/* The convolution whose gradient of images is the map's part: from the large image to the map. */
static ConvShape map_shape(const UpShape *s) {
  ConvShape c = full_shape(s, s->o);
  c.co = s->c;
  c.kh = c.kw = 4;
  c.stride_h = c.stride_w = 2;
  c.ho = s->h;
  c.wo = s->w;
  return c;
}

static long sums_of(const UpShape *s) { return s->c * 4 * 4 * s->o; }
static long skips_of(const UpShape *s) { return s->o * 3 * 3 * s->skip; }

/* The weights of both convolutions, in the call's dtype: the map's, and behind them skip's, which cuDNN wants by
 * themselves. */
typedef struct Taps {
  ConvWeights map, skip;
} Taps;

static Taps taps_at(const Call *c, const UpShape *s, const void *data) {
  return (Taps){own_weights(c, data),
                own_weights(c, (const char *)data + (size_t)sums_of(s) * dtype_bytes[c->dtype])};
}

/* Training keeps them for backward. 0 with a message. */
static int make_taps(Call *c, const UpShape *s, Taps *taps) {
  const Tensor *w = c->in[WEIGHT];
  long n = sums_of(s) + skips_of(s);
  Tensor *kept = c->training ? call_save_new(c, KEPT_TAPS, c->dtype, 1, SHAPE(n)) : NULL;
  void *data = kept          ? tensor_write(kept)
               : c->training ? NULL
                             : call_scratch(c, (size_t)n * dtype_bytes[c->dtype]);
  if (!data) return 0;
  *taps = taps_at(c, s, data);
  return upconv_sum_taps_on(stream_of(c), s->o, s->c, s->c + s->skip, tensor_data(w), w->dtype, c->dtype,
                            data, (void *)taps->skip.data);
}

static int forward(Call *c, const Epilogue *e) {
  UpShape s = up_shape(c);
  ConvShape map = map_shape(&s), side = full_shape(&s, s.skip);
  Taps taps;
  float *y = make_taps(c, &s, &taps) ? output(c, 0) : NULL;
  return y && (!s.skip || cuda_conv_forward(c, &side, input(c, SKIP), taps.skip, NULL, y, false)) &&
         cuda_conv_data(c, &map, input(c, INPUT), taps.map, e, y, s.skip > 0);
}

static int backward_weight(Call *c, const UpShape *s, const float *dy) {
  ConvShape map = map_shape(s), side = full_shape(s, s->skip);
  bool add;
  float *dw = call_grad(c, WEIGHT, &add);
  Tensor *sums = dw ? cuda_conv_weight_new(c, &map, dy, input(c, INPUT)) : NULL;
  Tensor *skip = sums && s->skip ? cuda_conv_weight_new(c, &side, input(c, SKIP), dy) : NULL;
  int ok = sums && (skip || !s->skip) &&
           upconv_share_taps_on(stream_of(c), s->o, s->c, s->c + s->skip, tensor_data(sums), sums->dtype,
                                skip ? tensor_data(skip) : NULL, skip ? skip->dtype : F32, dw, add);
  tensor_release(sums);
  tensor_release(skip);
  return ok;
}

static int upconv_forward(Call *c) { return forward(c, NULL); }

static int upconv_backward(Call *c) {
  UpShape s = up_shape(c);
  ConvShape map = map_shape(&s), side = full_shape(&s, s.skip);
  const float *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[WEIGHT] && !backward_weight(c, &s, dy)) return 0;
  Taps taps = taps_at(c, &s, tensor_data(c->saved[KEPT_TAPS]));
  if (c->needs_grad[INPUT]) {
    float *dx = call_grad(c, INPUT, &add);
    if (!dx || !cuda_conv_forward(c, &map, dy, taps.map, NULL, dx, add)) return 0;
  }
  if (c->needs_grad[SKIP]) {
    float *ds = call_grad(c, SKIP, &add);
    if (!ds || !cuda_conv_data(c, &side, dy, taps.skip, NULL, ds, add)) return 0;
  }
  return 1;
}

static int upconv_act_forward(Call *c) {
  return forward(c, &(Epilogue){input(c, SCALE), input(c, SHIFT), NULL, (Activation)c->arg[0].list[0]});
}

const Kernel cuda_upconv2d = {.forward = upconv_forward, .backward = upconv_backward};
const Kernel cuda_upconv2d_act = {.forward = upconv_act_forward};
