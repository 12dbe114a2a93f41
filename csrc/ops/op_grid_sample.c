/* grid_sample: bilinear samples of images N,H,W,C at the points of a grid
 * N,H',W',2 of (x, y) in -1 .. 1, as PyTorch's function of that name (Jaderberg
 * et al., NeurIPS 2015). */
#include "ops/grid_sizes.h"

enum { NUMBERS = 1 << 13, BANDS = 8 };

static long grain(const Grid *g) { return NUMBERS / (4 * g->c + 4) + 1; }

static int grid_sample_shape(Call *c) {
  const Tensor *x = c->in[INPUT], *grid = c->in[GRID];
  if (!want_real(c, INPUT) || !want_real(c, GRID) || !call_want_rank(c, INPUT, 4) ||
      !call_want_rank(c, GRID, 4))
    return 0;
  if (grid->shape[0] != x->shape[0] || grid->shape[3] != 2)
    return call_fail(c, "grid: expected %ld x H x W x 2, found %s", x->shape[0], tensor_text(grid));
  if (x->shape[1] * x->shape[2] == 0)
    return call_fail(c, "input: expected at least one pixel, found %s", tensor_text(x));
  return call_out(c, 0, c->dtype, 4, SHAPE(x->shape[0], grid->shape[1], grid->shape[2], x->shape[3]));
}

static int grid_sample_run(Call *c) {
  Grid g = grid_of(c);
  real *y = output(c, 0);
  return y && HOT_EACH(grid_sample_forward, c->in[GRID]->size / 2, grain(&g), .x = input(c, INPUT),
                       .grid = input(c, GRID), .y = y, .g = g);
}

static int grid_sample_back(Call *c) {
  Grid g = grid_of(c);
  const real *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[INPUT]) {
    real *dx = call_grad(c, INPUT, &add);
    long rows = (g.h + BANDS - 1) / BANDS, bands = (g.h + rows - 1) / rows;
    if (!dx || !HOT_EACH(grid_sample_image, c->in[INPUT]->shape[0] * bands, 1, .grid = input(c, GRID),
                         .dy = dy, .dx = dx, .add = add, .rows = rows, .bands = bands, .g = g))
      return 0;
  }
  if (!c->needs_grad[GRID]) return 1;
  real *dgrid = call_grad(c, GRID, &add);
  return dgrid && HOT_EACH(grid_sample_points, c->in[GRID]->size / 2, grain(&g), .x = input(c, INPUT),
                           .grid = input(c, GRID), .dy = dy, .dgrid = dgrid, .add = add, .g = g);
}

/* Points well between pixels, where there is no kink, inside and outside the
 * image. */
static int grid_sample_sample(Call *c, Random *r, int variant) {
  static const struct {
    long n, h, w, c, gh, gw;
    int border, corners;
  } samples[] = {{2, 4, 5, 3, 3, 4, 0, 0}, {2, 4, 5, 3, 3, 4, 0, 1}, {1, 5, 3, 2, 4, 2, 1, 0},
                 {1, 5, 3, 2, 4, 2, 1, 1}, {0, 2, 2, 1, 2, 2, 0, 0}, {1, 2, 2, 0, 2, 2, 0, 0},
                 {1, 3, 3, 4, 0, 3, 1, 0}, {1, 9, 8, 17, 6, 5, 0, 1}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  long n = samples[variant].n, h = samples[variant].h, w = samples[variant].w;
  sample_choice(c, PADDING, samples[variant].border);
  sample_arg(c, CORNERS, samples[variant].corners);
  if (!sample_input(c, INPUT, r, 4, SHAPE(n, h, w, samples[variant].c)) ||
      !sample_input(c, GRID, r, 4, SHAPE(n, samples[variant].gh, samples[variant].gw, 2)))
    return 0;
  real *grid = tensor_write(c->in[GRID]);
  for (long i = 0; grid && i < c->in[GRID]->size; i++) {
    long size = i % 2 ? h : w;
    double pixel = (double)random_below(r, size + 3) - 2 + 0.2 + 0.6 * (double)random_below(r, 1000) / 1000;
    grid[i] = (real)(samples[variant].corners ? 2 * pixel / (double)(size - 1) - 1
                                              : (2 * pixel + 1) / (double)size - 1);
  }
  return grid != NULL;
}

DESCRIPTOR op_grid_sample = {.name = "grid_sample",
                             .args = "input grid padding:zeros|border=zeros align_corners=false",
                             .doc = "images N,H,W,C sampled bilinearly at grid N,H',W',2 of (x, y) in "
                                    "-1 .. 1, as PyTorch's",
                             .shape = grid_sample_shape,
                             .sample = grid_sample_sample,
                             .full = 1 << GRID};
const Kernel REALNAME(cpu_grid_sample) = {.forward = grid_sample_run, .backward = grid_sample_back};
