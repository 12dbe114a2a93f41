/* Ops that only move elements (ops/op_shape.c), of any dtype. */
#include "cuda/op_kit.h"

#include "cuda/kernels/shape.h"
#include "ops/shape_sizes.h"

static int nothing(Call *c) { return (void)c, 1; }

/* Into output 0, from in[0]'s element `skip` on; and into in[0]'s gradient. */
static int gather(Call *c, Walk w, long skip) {
  const Tensor *x = c->in[0];
  const char *from = (const char *)tensor_data(x) + (size_t)skip * dtype_bytes[x->dtype];
  void *y = tensor_write(c->out[0]);
  return y && gather_on(stream_of(c), &w, x->dtype, from, y, false);
}

static int gather_back(Call *c, Walk w) {
  const Tensor *dy = c->grad_out[0];
  bool add;
  void *g = call_grad(c, 0, &add);
  return g && gather_on(stream_of(c), &w, dy->dtype, tensor_data(dy), g, add);
}

/* ---- reshape: a view ---- */
static int reshape_backward(Call *c) { return !c->grad_out[0] || call_grad_is(c, 0, c->grad_out[0]); }

/* ---- permute, transpose ---- */
#define ORDERED(name, order_of)                                                                              \
  static int name##_forward(Call *c) {                                                                       \
    int order[RANK_MAX];                                                                                     \
    return order_of(c, order) && gather(c, ordered_walk(c->in[0], c->out[0], order), 0);                     \
  }                                                                                                          \
  static int name##_backward(Call *c) {                                                                      \
    int order[RANK_MAX];                                                                                     \
    const Tensor *dy = c->grad_out[0];                                                                       \
    return !dy || (order_of(c, order) && gather_back(c, ordered_back_walk(c->in[0], dy, order)));            \
  }
ORDERED(permute, permutation)
ORDERED(transpose, swapped)

/* ---- expand ---- */
static int expand_forward(Call *c) { return gather(c, expand_walk(c->in[0], c->out[0]), 0); }

static int expand_backward(Call *c) {
  Tensor *dy = c->grad_out[0];
  bool add;
  if (!dy) return 1;
  if (tensor_same_shape(dy, c->in[0])) return call_grad_is(c, 0, dy);
  void *g = call_grad(c, 0, &add);
  return g && cuda_sum_to(c, dy->dtype, tensor_data(dy), dy->rank, dy->shape, c->in[0], g, add);
}

/* ---- select, narrow ---- */
static int slab_forward(Call *c) {
  Slab s;
  if (!slab_of(c, &s)) return 0;
  return s.outer == 1 /* a view */ || gather(c, slab_walk(&s), s.skip);
}

static int slab_backward(Call *c) {
  const Tensor *dy = c->grad_out[0];
  Slab s;
  bool add;
  if (!dy) return 1;
  void *g = slab_of(c, &s) ? call_grad(c, 0, &add) : NULL;
  Reframe f = {.images = 1, .h = s.outer, .w = s.row, .from_h = s.outer, .from_w = s.n, .skip = s.skip};
  return g && reframe_on(stream_of(c), &f, dy->dtype, tensor_data(dy), g, add);
}

const Kernel cuda_reshape = {.forward = nothing, .backward = reshape_backward};
const Kernel cuda_permute = {.forward = permute_forward, .backward = permute_backward};
const Kernel cuda_transpose = {.forward = transpose_forward, .backward = transpose_backward};
const Kernel cuda_expand = {.forward = expand_forward, .backward = expand_backward};
const Kernel cuda_select = {.forward = slab_forward, .backward = slab_backward};
const Kernel cuda_narrow = {.forward = slab_forward, .backward = slab_backward};
