/* What the ops of op_concat.c compute from shapes and arguments, for every device; and cast, which devices do by
 * themselves. */
#ifndef OPS_CONCAT_SIZES_H
#define OPS_CONCAT_SIZES_H

#include "ops/op_kit.h"

/* ---- cat, stack ---- */
enum { CAT, STACK }; /* forms */

static inline bool stacking(const Call *c) { return c->op->form == STACK; }

/* The dimension of the output that the inputs follow each other in; -1 with a message. */
static inline int concat_axis(const Call *c) { return axis(c, 0, c->in[0]->rank + (stacking(c) ? 1 : 0)); }

/* How many entries of that dimension input i fills, and how many elements that is per outer index. */
static inline long share(const Call *c, int i, int d, long inner) {
  return (stacking(c) ? 1 : c->in[i]->shape[d]) * inner;
}

/* ---- pad_crop ---- */
/* Images ...,H,W,C: rows and columns beyond the new size are dropped, missing ones are zeros. */
typedef struct Frame {
  long images, channels, h, w;
} Frame;

static inline Frame frame(const Tensor *t) {
  int r = t->rank;
  return (Frame){extent(t->shape, 0, r - 3), t->shape[r - 1], t->shape[r - 3], t->shape[r - 2]};
}

/* Whether the new frame is the first rows of one image: they lie together already. */
static inline bool is_prefix(const Tensor *x, const long *shape) {
  int r = x->rank;
  return extent(x->shape, 0, r - 3) == 1 && shape[r - 2] == x->shape[r - 2] &&
         shape[r - 3] <= x->shape[r - 3];
}

/* ---- cast ---- */
/* One flag per dtype, in the order of the enum; the first that is set counts. */
static inline Dtype target(const Call *c) {
  for (int d = 0; d < DTYPES; d++)
    if (c->arg[d].n != 0) return (Dtype)d;
  return c->dtype;
}

static inline int cast_forward(Call *c) {
  const Tensor *x = c->in[0];
  Device *d = c->device;
  if (x->dtype == c->out[0]->dtype) return 1; /* a view */
  return d->cast(d, x->dtype, tensor_data(x), c->out[0]->dtype, tensor_write(c->out[0]), x->size);
}

static inline int cast_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  Tensor *g = tensor_cast(c->grad_out[0], c->in[0]->dtype);
  int ok = g && call_grad_is(c, 0, g);
  tensor_release(g);
  return ok;
}

#endif
