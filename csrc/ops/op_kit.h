/* What the op files share: typed access to a call's tensors, dimension arguments, blocks of temporary memory,
 * and the walk over broadcast operands. Everything here is small and inline; what computes stands in op_*.c.
 *
 * Conventions of this folder: an op whose args begin with '*' takes tensors of any dtype as they are; all
 * others are given `real` tensors by the engine. Dimension arguments count from 1, negative ones from the
 * end. */
#ifndef OPS_OP_KIT_H
#define OPS_OP_KIT_H

#include "core/error.h"
#include "core/pool.h"
#include "ops/op.h"
#include "ops/real.h"

#include <math.h>
#include <string.h>

/* ---- a call's data ---- */
static inline const real *input(const Call *c, int i) {
  return c->in[i] ? (const real *)tensor_data(c->in[i]) : NULL;
}
static inline real *output(Call *c, int i) { return (real *)tensor_write(c->out[i]); }
static inline const real *saved(const Call *c, int i) { return (const real *)tensor_data(c->saved[i]); }
static inline const real *grad_out(const Call *c, int i) {
  return c->grad_out[i] ? (const real *)tensor_data(c->grad_out[i]) : NULL;
}

/* Input i, if it is there, has the dtype that it has in this call; 0 with a message otherwise. */
static inline int want_real(const Call *c, int i) {
  return !c->in[i] || call_want_dtype(c, i, call_dtype(c, i));
}

/* The same for weights, which a call that computes in bfloat16 may have in it, one on halves in float32. */
static inline int want_weight(const Call *c, int i) {
  if (dtype_is_half(c->dtype)) return c->in[i]->dtype == F32 || want_real(c, i);
  if (c->compute != BF16 || c->in[i]->dtype != BF16) return want_real(c, i);
  return !c->training || call_fail(c, "weight: expected float32 where gradients are wanted, found bfloat16");
}

/* The product of shape[from .. to-1]. */
static inline long extent(const long *shape, int from, int to) {
  long n = 1;
  for (int i = from; i < to; i++) n *= shape[i];
  return n;
}

static inline long least(long a, long b) { return a < b ? a : b; }

/* ---- dimension arguments ---- */
/* The 0-based dimension that parameter `arg` names, for a tensor of this rank; -1 with a message. */
static inline int axis(const Call *c, int arg, int rank) {
  long d = c->arg[arg].list[0];
  if (d < 0) d += rank + 1;
  if (d < 1 || d > rank) {
    call_fail(c, "dim: expected 1 .. %d or -%d .. -1, found %ld", rank, rank, c->arg[arg].list[0]);
    return -1;
  }
  return (int)d - 1;
}

/* Elements of t around dimension d: t is outer x t->shape[d] x inner. */
static inline long outer_of(const Tensor *t, int d) { return extent(t->shape, 0, d); }
static inline long inner_of(const Tensor *t, int d) { return extent(t->shape, d + 1, t->rank); }

#pragma GCC visibility push(default) /* for the shared objects of devices */

/* ---- broadcasting ---- */
/* Operands as strides over the output's shape, neighbouring dimensions merged where all operands allow it;
 * the step of the last dimension is 0 or 1. */
enum { BROADCAST_MAX = 3 };
typedef struct Broadcast {
  int rank, operands;
  long size, shape[RANK_MAX];
  long step[BROADCAST_MAX][RANK_MAX]; /* elements; 0 where the operand is repeated */
} Broadcast;

/* The NumPy rule: aligned at the last dimension, sizes equal or 1. 0 with a message that shows all shapes. */
int REALNAME(broadcast_shape)(const Call *c, const int *which, int operands, int *rank, long *shape);
/* t[k]'s shapes must broadcast to the given shape. */
void REALNAME(broadcast_start)(Broadcast *w, Tensor *const *t, int operands, int rank, const long *shape);
/* Where operand k stands at output element `at`. */
static inline long broadcast_offset(const Broadcast *w, int k, long at) {
  long offset = 0;
  for (int d = w->rank - 1; d >= 0; d--) {
    offset += at % w->shape[d] * w->step[k][d];
    at /= w->shape[d];
  }
  return offset;
}

/* ---- sums ---- */
/* y[o][i] (+)= scale * sum over r of x[o][r][i]; accumulated in double,
 * in an order that shapes alone decide. */
int REALNAME(sum_middle)(Call *c, const real *x, long outer, long reduced, long inner, double scale, real *y,
                         bool add);
/* Adds x (of a broadcast shape) up to t's shape: the gradient of broadcasting. */
int REALNAME(sum_to)(Call *c, const real *x, int rank, const long *shape, const Tensor *t, real *y, bool add);

#pragma GCC visibility pop

/* ---- samples ---- */
/* Normal numbers of standard deviation `scale`, none nearer than 0.05 to the places where pointwise functions
 * kink. */
int REALNAME(sample_smooth)(Call *c, int i, Random *r, int rank, const long *shape, double scale);
#define SHAPE(...) ((const long[]){__VA_ARGS__})

#endif
