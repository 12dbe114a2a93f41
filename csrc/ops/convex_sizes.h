/* A call of convex_upsample as its kernels see it, for every device. */
#ifndef OPS_CONVEX_SIZES_H
#define OPS_CONVEX_SIZES_H

#include "ops/op_kit.h"

#include "ops/bodies_convex.h"

enum { INPUT, MASK };
enum { FACTOR };

static inline Convex convex_of(const Call *c) {
  const long *x = c->in[INPUT]->shape;
  return (Convex){.h = x[1], .w = x[2], .c = x[3], .factor = c->arg[FACTOR].list[0]};
}

static inline long convex_pixels(const Call *c) { return extent(c->in[INPUT]->shape, 0, 3); }

#endif
