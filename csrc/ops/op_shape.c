/* Ops that only move elements: reshape, permute, transpose, expand, select, narrow; any dtype. Where the
 * result is a stretch of the input it shares its storage; all else is one gather with strides, which also
 * serves backward. */
#include "ops/shape_sizes.h"

enum { CHUNK = 1 << 15 };

/* to[at] = from[sum of index * stride], at running over the walk; add: of real numbers only. */
typedef struct GatherJob {
  Walk w;
  size_t bytes;
  const char *from;
  char *to;
  bool add;
} GatherJob;

#define MOVE(type)                                                                                           \
  for (long k = 0; k < n; k++) ((type *)j->to)[at + k] = ((const type *)j->from)[offset + k * step]

static int gather_chunk(void *arg, long chunk) {
  const GatherJob *j = arg;
  const Walk *w = &j->w;
  long at = chunk * CHUNK, end = least(at + CHUNK, w->size);
  int last = w->rank - 1;
  while (at < end) {
    long n = least(w->shape[last] - at % w->shape[last], end - at), step = w->stride[last], offset = 0;
    for (long d = last, left = at; d >= 0; left /= w->shape[d--]) offset += left % w->shape[d] * w->stride[d];
    if (j->add)
      for (long k = 0; k < n; k++) ((real *)j->to)[at + k] += ((const real *)j->from)[offset + k * step];
    else if (step == 1)
      memcpy(j->to + (size_t)at * j->bytes, j->from + (size_t)offset * j->bytes, (size_t)n * j->bytes);
    else
      switch (j->bytes) {
      case 1: MOVE(uint8_t); break;
      case 2: MOVE(uint16_t); break;
      case 4: MOVE(uint32_t); break;
      default: MOVE(uint64_t); break;
      }
    at += n;
  }
  return 1;
}

static int gather(Walk w, Dtype dtype, const void *from, void *to, bool add) {
  GatherJob j = {w, dtype_bytes[dtype], from, to, add};
  return to && parallel((w.size + CHUNK - 1) / CHUNK, gather_chunk, &j);
}

static int nothing(Call *c) {
  (void)c;
  return 1;
}

/* ---- reshape ---- */
static int reshape_shape(Call *c) {
  const Arg *a = &c->arg[0];
  long known = 1, shape[RANK_MAX];
  int hole = -1;
  bool beyond = false;
  for (int d = 0; d < a->count; d++) {
    shape[d] = a->list[d];
    if (shape[d] == -1 && hole < 0)
      hole = d;
    else if (shape[d] < 0)
      return call_fail(c, "sizes: expected sizes with at most one -1, found %ld", shape[d]);
    else
      beyond = __builtin_mul_overflow(known, shape[d], &known) || beyond;
  }
  if (hole >= 0) shape[hole] = !beyond && known > 0 ? c->in[0]->size / known : 0;
  if (beyond || extent(shape, 0, a->count) != c->in[0]->size)
    return call_fail(c, "sizes: expected a shape of %ld elements (input: %s), found %s", c->in[0]->size,
                     tensor_text(c->in[0]), shape_text(a->count, a->list));
  return call_put(c, 0, tensor_view(c->in[0], 0, a->count, shape));
}

static int reshape_backward(Call *c) { return !c->grad_out[0] || call_grad_is(c, 0, c->grad_out[0]); }

static int reshape_sample(Call *c, Random *r, int variant) {
  switch (variant) {
  case 0: sample_list(c, 0, 2, SHAPE(3, -1)); return sample_input(c, 0, r, 3, SHAPE(2, 3, 2));
  case 1: sample_list(c, 0, 0, NULL); return sample_input(c, 0, r, 2, SHAPE(1, 1));
  case 2: sample_list(c, 0, 3, SHAPE(2, 0, 5)); return sample_input(c, 0, r, 1, SHAPE(0));
  case 3: sample_list(c, 0, 1, SHAPE(-1)); return sample_input(c, 0, r, 0, NULL);
  default: return -1;
  }
}

/* ---- permute, transpose ---- */
static int ordered_shape(Call *c, const int *order) {
  long shape[RANK_MAX];
  for (int d = 0; d < c->in[0]->rank; d++) shape[d] = c->in[0]->shape[order[d]];
  return call_out(c, 0, c->in[0]->dtype, c->in[0]->rank, shape);
}

static int ordered_forward(Call *c, const int *order) {
  const Tensor *x = c->in[0];
  return gather(ordered_walk(x, c->out[0], order), x->dtype, tensor_data(x), tensor_write(c->out[0]), false);
}

static int ordered_backward(Call *c, const int *order) {
  const Tensor *dy = c->grad_out[0];
  bool add;
  if (!dy) return 1;
  void *g = call_grad(c, 0, &add);
  return gather(ordered_back_walk(c->in[0], dy, order), dy->dtype, tensor_data(dy), g, add);
}

#define ORDERED(name, order_of)                                                                              \
  static int name##_shape(Call *c) {                                                                         \
    int order[RANK_MAX];                                                                                     \
    return order_of(c, order) && ordered_shape(c, order);                                                    \
  }                                                                                                          \
  static int name##_forward(Call *c) {                                                                       \
    int order[RANK_MAX];                                                                                     \
    return order_of(c, order) && ordered_forward(c, order);                                                  \
  }                                                                                                          \
  static int name##_backward(Call *c) {                                                                      \
    int order[RANK_MAX];                                                                                     \
    return order_of(c, order) && ordered_backward(c, order);                                                 \
  }
ORDERED(permute, permutation)
ORDERED(transpose, swapped)

static int permute_sample(Call *c, Random *r, int variant) {
  switch (variant) {
  case 0: sample_list(c, 0, 4, SHAPE(1, 4, 2, 3)); return sample_input(c, 0, r, 4, SHAPE(2, 3, 4, 5));
  case 1: sample_list(c, 0, 3, SHAPE(3, -2, 1)); return sample_input(c, 0, r, 3, SHAPE(2, 1, 3));
  case 2: sample_list(c, 0, 2, SHAPE(2, 1)); return sample_input(c, 0, r, 2, SHAPE(0, 3));
  case 3: sample_list(c, 0, 0, NULL); return sample_input(c, 0, r, 0, NULL);
  default: return -1;
  }
}

static int transpose_sample(Call *c, Random *r, int variant) {
  if (variant > 2) return -1;
  if (variant) {
    sample_arg(c, 0, -1);
    sample_arg(c, 1, 1);
  }
  return variant == 2 ? sample_input(c, 0, r, 1, SHAPE(4)) : sample_input(c, 0, r, 3, SHAPE(2, 3, 4));
}

/* ---- expand ---- */
/* sizes as in broadcasting; -1 keeps what is there. */
static int expand_shape(Call *c) {
  const Arg *a = &c->arg[0];
  const Tensor *x = c->in[0];
  long shape[RANK_MAX];
  int shift = a->count - x->rank;
  bool fits = shift >= 0;
  for (int d = 0; d < a->count && fits; d++) {
    long own = d < shift ? 1 : x->shape[d - shift];
    shape[d] = a->list[d] == -1 && d >= shift ? own : a->list[d];
    fits = shape[d] >= 0 && (own == 1 || own == shape[d]);
  }
  if (!fits)
    return call_fail(c, "sizes: expected a shape that %s broadcasts to, found %s", tensor_text(x),
                     shape_text(a->count, a->list));
  return call_out(c, 0, x->dtype, a->count, shape);
}

static int expand_forward(Call *c) {
  const Tensor *x = c->in[0];
  return gather(expand_walk(x, c->out[0]), x->dtype, tensor_data(x), tensor_write(c->out[0]), false);
}

static int expand_backward(Call *c) {
  const Tensor *dy = c->grad_out[0];
  bool add;
  if (!dy) return 1;
  if (tensor_same_shape(dy, c->in[0])) return call_grad_is(c, 0, c->grad_out[0]);
  real *g = call_grad(c, 0, &add);
  return g && REALNAME(sum_to)(c, grad_out(c, 0), dy->rank, dy->shape, c->in[0], g, add);
}

static int expand_sample(Call *c, Random *r, int variant) {
  switch (variant) {
  case 0: sample_list(c, 0, 3, SHAPE(2, 3, 4)); return sample_input(c, 0, r, 2, SHAPE(3, 1));
  case 1: sample_list(c, 0, 2, SHAPE(5, -1)); return sample_input(c, 0, r, 1, SHAPE(3));
  case 2: sample_list(c, 0, 4, SHAPE(2, 2, 3, 2)); return sample_input(c, 0, r, 3, SHAPE(2, 1, 2));
  case 3: sample_list(c, 0, 2, SHAPE(0, 3)); return sample_input(c, 0, r, 2, SHAPE(1, 3));
  case 4: sample_list(c, 0, 1, SHAPE(3)); return sample_input(c, 0, r, 0, NULL);
  default: return -1;
  }
}

/* ---- select, narrow ---- */
static int slab_shape(Call *c) {
  const Tensor *x = c->in[0];
  Slab s;
  long shape[RANK_MAX];
  int rank = 0;
  if (!slab_of(c, &s)) return 0;
  for (int d = 0; d < x->rank; d++)
    if (d != s.d)
      shape[rank++] = x->shape[d];
    else if (c->op->form == NARROW)
      shape[rank++] = s.length;
  if (s.outer == 1) return call_put(c, 0, tensor_view(x, s.skip, rank, shape));
  return call_out(c, 0, x->dtype, rank, shape);
}

static int slab_forward(Call *c) {
  const Tensor *x = c->in[0];
  Slab s;
  if (!slab_of(c, &s)) return 0;
  if (s.outer == 1) return 1; /* a view */
  return gather(slab_walk(&s), x->dtype,
                (const char *)tensor_data(x) + (size_t)s.skip * dtype_bytes[x->dtype],
                tensor_write(c->out[0]), false);
}

static int slab_backward(Call *c) {
  const real *dy = grad_out(c, 0);
  Slab s;
  bool add;
  if (!dy) return 1;
  real *g = call_grad(c, 0, &add);
  if (!g || !slab_of(c, &s)) return 0;
  if (!add) memset(g, 0, tensor_bytes(c->in[0]));
  g += s.skip;
  for (long o = 0; o < s.outer; o++, g += s.row, dy += s.n)
    for (long k = 0; k < s.n; k++) g[k] += dy[k];
  return 1;
}

static int slab_sample(Call *c, Random *r, int variant) {
  static const int dims[] = {1, 2, -1, 3};
  bool narrow = c->op->form == NARROW;
  if (variant > 3) return -1;
  sample_arg(c, 0, dims[variant]);
  sample_arg(c, 1, variant == 2 ? -2 : 2);
  if (narrow) sample_arg(c, 2, variant == 1 ? 0 : 2);
  return sample_input(c, 0, r, 3, SHAPE(3, 4, 3));
}

DESCRIPTOR op_reshape = {.name = "reshape",
                         .args = "*input sizes:list",
                         .doc = "the same elements in another shape; one size may be -1",
                         .shape = reshape_shape,
                         .sample = reshape_sample,
                         .shape_only = 1};
const Kernel REALNAME(cpu_reshape) = {.forward = nothing, .backward = reshape_backward};
DESCRIPTOR op_permute = {.name = "permute",
                         .args = "*input dims:list",
                         .doc = "dimensions in another order; dims names the input's",
                         .shape = permute_shape,
                         .sample = permute_sample,
                         .shape_only = 1};
const Kernel REALNAME(cpu_permute) = {.forward = permute_forward, .backward = permute_backward};
DESCRIPTOR op_transpose = {.name = "transpose",
                           .args = "*input a:int=1 b:int=2",
                           .doc = "dimensions a and b change places",
                           .shape = transpose_shape,
                           .sample = transpose_sample,
                           .shape_only = 1};
const Kernel REALNAME(cpu_transpose) = {.forward = transpose_forward, .backward = transpose_backward};
DESCRIPTOR op_expand = {.name = "expand",
                        .args = "*input sizes:list",
                        .doc = "repeated to a shape that the input broadcasts to",
                        .shape = expand_shape,
                        .sample = expand_sample,
                        .shape_only = 1};
const Kernel REALNAME(cpu_expand) = {.forward = expand_forward, .backward = expand_backward};
DESCRIPTOR op_select = {.name = "select",
                        .args = "*input dim:int=1 index:int=1",
                        .doc = "one entry of a dimension, which vanishes",
                        .shape = slab_shape,
                        .sample = slab_sample,
                        .shape_only = 1};
const Kernel REALNAME(cpu_select) = {.forward = slab_forward, .backward = slab_backward};
DESCRIPTOR op_narrow = {.name = "narrow",
                        .form = NARROW,
                        .args = "*input dim:int=1 start:int=1 length:int=1",
                        .doc = "length entries of a dimension from start on",
                        .shape = slab_shape,
                        .sample = slab_sample,
                        .shape_only = 1};
const Kernel REALNAME(cpu_narrow) = {.forward = slab_forward, .backward = slab_backward};
