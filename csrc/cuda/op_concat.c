/* cat, stack, pad_crop and cast (ops/op_concat.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/shape.h"
#include "ops/concat_sizes.h"
#include "ops/walk.h"

_Static_assert((int)JOIN_MOST >= (int)OP_IN, "a join has room for every input");

/* ---- cat, stack ---- */
static int concat_forward(Call *c) {
  const Tensor *y = c->out[0];
  int d = concat_axis(c);
  Join j = {.count = c->nin};
  for (int i = 0; i < c->nin; i++) {
    j.from[i] = tensor_data(c->in[i]);
    j.piece[i] = share(c, i, d, inner_of(y, d)) * (long)dtype_bytes[y->dtype];
  }
  void *to = tensor_write(c->out[0]);
  return to && join_on(stream_of(c), &j, outer_of(y, d), to);
}

/* An input's gradient: its piece of each row of dy. */
static int concat_backward(Call *c) {
  const Tensor *dy = c->grad_out[0];
  if (!dy) return 1;
  int d = concat_axis(c);
  long outer = outer_of(dy, d), inner = inner_of(dy, d), row = dy->shape[d] * inner;
  const char *from = tensor_data(dy);
  size_t bytes = dtype_bytes[dy->dtype];
  for (int i = 0; i < c->nin; i++) {
    long n = share(c, i, d, inner);
    Walk w = walk(2, SHAPE(outer, n), SHAPE(row, 1));
    bool add;
    void *g = c->needs_grad[i] ? call_grad(c, i, &add) : NULL;
    if (c->needs_grad[i] && !(g && gather_on(stream_of(c), &w, dy->dtype, from, g, add))) return 0;
    from += (size_t)n * bytes;
  }
  return 1;
}

/* ---- pad_crop ---- */
static int reframe(Call *c, const Tensor *from, const Tensor *to, void *data, bool add) {
  Frame a = frame(from), b = frame(to);
  Reframe f = {
      .images = b.images, .h = b.h, .w = b.w * b.channels, .from_h = a.h, .from_w = a.w * a.channels};
  return reframe_on(stream_of(c), &f, to->dtype, tensor_data(from), data, add);
}

static int pad_crop_forward(Call *c) {
  if (is_prefix(c->in[0], c->out[0]->shape)) return 1; /* a view */
  void *y = tensor_write(c->out[0]);
  return y && reframe(c, c->in[0], c->out[0], y, false);
}

static int pad_crop_backward(Call *c) {
  const Tensor *dy = c->grad_out[0];
  bool add;
  void *g = dy ? call_grad(c, 0, &add) : NULL;
  return !dy || (g && reframe(c, dy, c->in[0], g, add));
}

const Kernel cuda_cat = {.forward = concat_forward, .backward = concat_backward};
const Kernel cuda_stack = {.forward = concat_forward, .backward = concat_backward};
const Kernel cuda_pad_crop = {.forward = pad_crop_forward, .backward = pad_crop_backward};
const Kernel cuda_cast = {.forward = cast_forward, .backward = cast_backward};
