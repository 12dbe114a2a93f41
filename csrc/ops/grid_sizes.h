/* A call of grid_sample as its kernels see it, for every device. */
#ifndef OPS_GRID_SIZES_H
#define OPS_GRID_SIZES_H

#include "ops/op_kit.h"

#include "ops/bodies_grid_sample.h"

enum { INPUT, GRID };
enum { PADDING, CORNERS };

static inline Grid grid_of(const Call *c) {
  const long *x = c->in[INPUT]->shape, *grid = c->in[GRID]->shape;
  return (Grid){.h = x[1],
                .w = x[2],
                .c = x[3],
                .points = grid[1] * grid[2],
                .border = c->arg[PADDING].list[0] == 1,
                .corners = c->arg[CORNERS].n != 0};
}

#endif
