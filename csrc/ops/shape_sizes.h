/* What the ops of op_shape.c compute from shapes and arguments, for every device: orders of dimensions, slabs, and
 * the walks through the input, or the gradient, that move the elements. */
#ifndef OPS_SHAPE_SIZES_H
#define OPS_SHAPE_SIZES_H

#include "ops/op_kit.h"
#include "ops/walk.h"

_Static_assert((int)WALK_RANK == (int)RANK_MAX, "a walk has room for every tensor");

static inline void strides_of(int rank, const long *shape, long *stride) {
  for (long d = rank - 1, s = 1; d >= 0; s *= shape[d--]) stride[d] = s;
}

/* ---- permute, transpose ---- */
/* order[d]: which input dimension is the d-th of the output; 0 with a message. */
static inline int permutation(const Call *c, int *order) {
  int rank = c->in[0]->rank;
  const Arg *a = &c->arg[0];
  bool seen[RANK_MAX] = {false};
  if (a->count != rank)
    return call_fail(c, "dims: expected %d dimensions (input: %s), found %d", rank, tensor_text(c->in[0]),
                     a->count);
  for (int d = 0; d < rank; d++) {
    long from = a->list[d] < 0 ? a->list[d] + rank : a->list[d] - 1;
    if (from < 0 || from >= rank || seen[from])
      return call_fail(c, "dims: expected each of 1 .. %d once, found %ld", rank, a->list[d]);
    seen[order[d] = (int)from] = true;
  }
  return 1;
}

static inline int swapped(const Call *c, int *order) {
  int rank = c->in[0]->rank, a = axis(c, 0, rank), b = a < 0 ? -1 : axis(c, 1, rank);
  if (b < 0) return 0;
  for (int d = 0; d < rank; d++) order[d] = d;
  order[a] = b;
  order[b] = a;
  return 1;
}

/* Through x in the order of the output y. */
static inline Walk ordered_walk(const Tensor *x, const Tensor *y, const int *order) {
  long own[RANK_MAX], stride[RANK_MAX];
  strides_of(x->rank, x->shape, own);
  for (int d = 0; d < x->rank; d++) stride[d] = own[order[d]];
  return walk(y->rank, y->shape, stride);
}

/* Through the output's gradient in the order of x. */
static inline Walk ordered_back_walk(const Tensor *x, const Tensor *dy, const int *order) {
  long own[RANK_MAX], stride[RANK_MAX];
  strides_of(dy->rank, dy->shape, own);
  for (int d = 0; d < dy->rank; d++) stride[order[d]] = own[d];
  return walk(x->rank, x->shape, stride);
}

/* ---- expand ---- */
static inline Walk expand_walk(const Tensor *x, const Tensor *y) {
  long stride[RANK_MAX] = {0}, own[RANK_MAX];
  strides_of(x->rank, x->shape, own);
  for (int d = 0; d < x->rank; d++) stride[d + y->rank - x->rank] = x->shape[d] == 1 ? 0 : own[d];
  return walk(y->rank, y->shape, stride);
}

/* ---- select, narrow ---- */
enum { SELECT, NARROW }; /* forms */

/* `length` of dimension d from `start` on: the input is outer rows of `row` elements, of which n from `skip` on
 * are taken. */
typedef struct Slab {
  int d;
  long start, length;
  long outer, row, skip, n;
} Slab;

static inline int slab_of(const Call *c, Slab *s) {
  const Tensor *x = c->in[0];
  bool select = c->op->form == SELECT;
  if ((s->d = axis(c, 0, x->rank)) < 0) return 0;
  long n = x->shape[s->d], start = c->arg[1].list[0];
  s->length = select ? 1 : c->arg[2].list[0];
  if (start < 0) start += n + 1;
  s->start = start - 1;
  if (s->start < 0 || s->length < 0 || s->length > n - s->start)
    return select ? call_fail(c, "index: expected 1 .. %ld, found %ld", n, c->arg[1].list[0])
                  : call_fail(c, "start, length: expected a range within 1 .. %ld, found %ld, %ld", n,
                              c->arg[1].list[0], s->length);
  long inner = inner_of(x, s->d);
  s->outer = outer_of(x, s->d);
  s->row = n * inner;
  s->skip = s->start * inner;
  s->n = s->length * inner;
  return 1;
}

/* From the slab's first element on. */
static inline Walk slab_walk(const Slab *s) { return walk(2, SHAPE(s->outer, s->n), SHAPE(s->row, 1)); }

#endif
