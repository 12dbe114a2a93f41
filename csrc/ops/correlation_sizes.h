/* A call of correlation as its kernels see it, for every device. */
#ifndef OPS_CORRELATION_SIZES_H
#define OPS_CORRELATION_SIZES_H

#include "ops/op_kit.h"

#include "ops/bodies_correlation.h"

enum { FIRST, POINTS, SECOND };
enum { RADIUS };

static inline Correlation correlation_of(const Call *c) {
  const long *first = c->in[FIRST]->shape, *points = c->in[POINTS]->shape;
  Correlation g = {.pixels = points[1] * points[2],
                   .c = first[3],
                   .alone = first[0] == 1,
                   .radius = c->arg[RADIUS].list[0],
                   .scale = (real)(1 / sqrt((double)(first[3] ? first[3] : 1)))};
  for (int l = 0; l < LEVELS_MAX && c->in[SECOND + l]; l++) {
    g.h[l] = c->in[SECOND + l]->shape[1];
    g.w[l] = c->in[SECOND + l]->shape[2];
    g.levels++;
  }
  return g;
}

#endif
