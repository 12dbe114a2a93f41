/* grid_sample (ops/op_grid_sample.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/grid_sample.h"
#include "ops/grid_sizes.h"

static int grid_sample_forward(Call *c) {
  Grid g = grid_of(c);
  float *y = output(c, 0);
  return y && grid_sample_on(stream_of(c), c->in[INPUT]->shape[0], &g, c->dtype, input(c, INPUT),
                             input(c, GRID), y);
}

static int grid_sample_backward(Call *c) {
  Grid g = grid_of(c);
  const float *dy = grad_out(c, 0), *x = input(c, INPUT), *grid = input(c, GRID);
  long images = c->in[INPUT]->shape[0];
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[INPUT]) {
    float *dx = call_grad(c, INPUT, &add);
    void *sums = dx ? call_scratch(c, grid_sample_scratch(images, &g)) : NULL;
    if (!sums || !grid_sample_image_on(stream_of(c), images, &g, c->dtype, grid, dy, dx, add, sums)) return 0;
    call_drop(c, sums);
  }
  if (!c->needs_grad[GRID]) return 1;
  float *dgrid = call_grad(c, GRID, &add);
  return dgrid && grid_sample_points_on(stream_of(c), images, &g, c->dtype, x, grid, dy, dgrid, add);
}

const Kernel cuda_grid_sample = {.forward = grid_sample_forward, .backward = grid_sample_backward};
