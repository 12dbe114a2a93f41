/* What sums compute from shapes, for every device: a reduction sees its input as outer x reduced x inner, and a
 * sum down to a smaller shape is one reduction for each run of repeated dimensions. */
#ifndef OPS_SUM_SIZES_H
#define OPS_SUM_SIZES_H

#include "ops/op_kit.h"

typedef struct SumSizes {
  long outer, reduced, inner;
} SumSizes;

/* Of "input dim:int=none". */
static inline SumSizes sum_sizes(const Call *c) {
  const Tensor *t = c->in[0];
  if (!c->arg[0].given) return (SumSizes){1, t->size, 1};
  int d = axis(c, 0, t->rank);
  return (SumSizes){outer_of(t, d), t->shape[d], inner_of(t, d)};
}

/* What a variance of n numbers is divided by. */
static inline double var_freedom(const Call *c, long n) { return (double)(n - (c->arg[2].n != 0 ? 1 : 0)); }

typedef struct SumTo {
  int rank, end;
  long left[RANK_MAX]; /* the shape so far */
  bool repeated[RANK_MAX];
  long outer, reduced, inner; /* the next reduction */
} SumTo;

/* From `shape`, which t broadcasts to, to t's. */
static inline void sum_to_start(SumTo *s, int rank, const long *shape, const Tensor *t) {
  s->rank = s->end = rank;
  for (int d = 0; d < rank; d++) {
    int own = d - (rank - t->rank);
    s->left[d] = shape[d];
    s->repeated[d] = own < 0 || t->shape[own] != shape[d];
  }
}

/* The next run of repeated dimensions, the last one first; whether there are more. */
static inline bool sum_to_next(SumTo *s) {
  int end = s->end;
  while (end > 0 && !s->repeated[end - 1]) end--;
  int begin = end;
  while (begin > 0 && s->repeated[begin - 1]) begin--;
  bool more = false;
  for (int d = 0; d < begin; d++) more |= s->repeated[d];
  s->outer = extent(s->left, 0, begin);
  s->reduced = extent(s->left, begin, end);
  s->inner = extent(s->left, end, s->rank);
  for (int d = begin; d < end; d++) s->left[d] = 1;
  s->end = begin;
  return more;
}

#endif
