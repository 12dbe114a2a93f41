/* What conv2d and conv2d_act compute from shapes and arguments, for every device. */
#ifndef OPS_CONV_SIZES_H
#define OPS_CONV_SIZES_H

#include "backend/conv_shape.h"
#include "ops/window.h"

enum { CONV_BARE, CONV_FUSED }; /* forms: conv2d, conv2d_act */
enum { STRIDE, PADDING, GROUPS, ACT };
enum { STATISTICS = ACT + 1 }; /* conv2d's, behind its dilation */
/* Behind the parameters that there were before it. */
static inline int dilation_of(const Call *c) { return c->op->form == CONV_FUSED ? ACT + 1 : ACT; }

/* The sizes of the call, everything checked; 0 with a message. */
static inline int conv_sizes(const Call *c, ConvShape *s) {
  const Tensor *x = c->in[0], *w = c->in[1];
  if (!want_real(c, 0) || !want_weight(c, 1) || !call_want_rank(c, 0, 4) || !call_want_rank(c, 1, 4))
    return 0;
  Window v;
  if (!window_read(c, x->shape + 1, w->shape + 1, STRIDE, PADDING, dilation_of(c), &v)) return 0;
  *s = (ConvShape){.n = x->shape[0],
                   .h = x->shape[1],
                   .w = x->shape[2],
                   .ci = x->shape[3],
                   .co = w->shape[0],
                   .kh = w->shape[1],
                   .kw = w->shape[2],
                   .groups = c->arg[GROUPS].list[0],
                   .ho = v.count[0],
                   .wo = v.count[1],
                   .stride_h = v.stride[0],
                   .stride_w = v.stride[1],
                   .dilation_h = v.kernel[0] > 1 ? v.dilation[0] : 1,
                   .dilation_w = v.kernel[1] > 1 ? v.dilation[1] : 1,
                   .top = v.before[0],
                   .left = v.before[1]};
  if (s->groups < 1 || s->ci % s->groups || s->co % s->groups)
    return call_fail(c, "groups: expected a divisor of the channels %ld and %ld, found %ld", s->ci, s->co,
                     s->groups);
  if (w->shape[3] != s->ci / s->groups)
    return call_fail(
        c, "weight: expected %ld input channels a group, found %s (out, height, width, in / groups)",
        s->ci / s->groups, tensor_text(w));
  if (s->ho < 1 || s->wo < 1)
    return call_fail(c,
                     "weight: expected a kernel that fits the padded image, found %s on %s with padding "
                     "{%ld, %ld, %ld, %ld}",
                     tensor_text(w), tensor_text(x), WINDOW_PADDING(v));
  return 1;
}

/* An optional vector of one number per channel. */
static inline int per_channel(const Call *c, int i, const char *name, long channels) {
  const Tensor *t = c->in[i];
  if (!t) return 1;
  if (!want_real(c, i)) return 0;
  return (t->rank == 1 && t->size == channels) ||
         call_fail(c, "%s: expected %ld numbers, found %s", name, channels, tensor_text(t));
}

#endif
