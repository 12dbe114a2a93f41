/* Bilinear samples of channels-last images at points of their own for every output pixel, and their
 * gradients. A point's place is told in -1 .. 1: from the first to the last pixel's centre (align_corners),
 * or from edge to edge. */
#ifndef OPS_BODIES_GRID_SAMPLE_H
#define OPS_BODIES_GRID_SAMPLE_H

#include "ops/hot.h"

#include <math.h>

typedef struct Grid {
  long h, w, c, points; /* points of an image */
  bool border;          /* points outside see the nearest edge; else zeros */
  bool corners;
} Grid;

/* Along one axis: the places before and behind the point, the second one's share, and what a step of the
 * grid's number is in pixels. Places outside the image are for the caller to leave out. */
typedef struct Between {
  long at;
  real share, step;
} Between;

BODY Between grid_axis(const Grid *g, real t, long size) {
  Between b = {.step = g->corners ? (real)(size - 1) / 2 : (real)size / 2};
  real p = g->corners ? (t + 1) * b.step : ((t + 1) * (real)size - 1) / 2;
  if (g->border) {
    real last = (real)(size - 1);
    if (!(p > 0 && p < last)) b.step = 0; /* beyond the edge nothing changes */
    p = p > 0 ? p : 0;                    /* not a number: 0 */
    p = p < last ? p : last;
  } else if (!(p > -1 && p < (real)size)) {
    b.at = -2; /* sees zeros alone; a place that is far away would not fit a whole number */
    return b;
  }
  real floor_ = RM(floor)(p);
  b.at = (long)floor_;
  b.share = p - floor_;
  return b;
}

/* Index i: an output pixel. */
struct grid_sample_forward_args {
  const real *x;
  const real *grid;
  real *y;
  Grid g;
};

BODY void grid_sample_forward_body(const struct grid_sample_forward_args *a, long i) {
  const Grid *g = &a->g;
  Between u = grid_axis(g, a->grid[2 * i], g->w), v = grid_axis(g, a->grid[2 * i + 1], g->h);
  const real *image = a->x + i / g->points * g->h * g->w * g->c;
  real *restrict y = a->y + i * g->c;
  for (long k = 0; k < g->c; k++) y[k] = 0;
  for (long p = v.at; p < v.at + 2; p++) {
    if (p < 0 || p >= g->h) continue;
    for (long q = u.at; q < u.at + 2; q++) {
      if (q < 0 || q >= g->w) continue;
      real share = (p == v.at ? 1 - v.share : v.share) * (q == u.at ? 1 - u.share : u.share);
      const real *restrict x = image + (p * g->w + q) * g->c;
      for (long k = 0; k < g->c; k++) y[k] += share * x[k];
    }
  }
}
HOT_KERNEL(grid_sample_forward)

/* Index i: a point, whose own gradient this is. */
struct grid_sample_points_args {
  const real *x;
  const real *grid;
  const real *dy;
  real *dgrid;
  bool add;
  Grid g;
};

BODY void grid_sample_points_body(const struct grid_sample_points_args *a, long i) {
  const Grid *g = &a->g;
  Between u = grid_axis(g, a->grid[2 * i], g->w), v = grid_axis(g, a->grid[2 * i + 1], g->h);
  const real *image = a->x + i / g->points * g->h * g->w * g->c, *dy = a->dy + i * g->c;
  real du = 0, dv = 0;
  for (long p = v.at; p < v.at + 2; p++) {
    if (p < 0 || p >= g->h) continue;
    for (long q = u.at; q < u.at + 2; q++) {
      if (q < 0 || q >= g->w) continue;
      const real *x = image + (p * g->w + q) * g->c;
      real sum = 0;
      for (long k = 0; k < g->c; k++) sum += x[k] * dy[k];
      du += (q == u.at ? -1 : 1) * (p == v.at ? 1 - v.share : v.share) * sum;
      dv += (p == v.at ? -1 : 1) * (q == u.at ? 1 - u.share : u.share) * sum;
    }
  }
  real *to = a->dgrid + 2 * i;
  to[0] = (a->add ? to[0] : 0) + du * u.step;
  to[1] = (a->add ? to[1] : 0) + dv * v.step;
}
HOT_KERNEL(grid_sample_points)

/* Index i: a band of `rows` rows of an image, which looks at all points, in their order, and takes what falls
 * into it: no two indices write to one place. */
struct grid_sample_image_args {
  const real *grid;
  const real *dy;
  real *dx;
  bool add;
  long rows;
  long bands;
  Grid g;
};

BODY void grid_sample_image_body(const struct grid_sample_image_args *a, long i) {
  const Grid *g = &a->g;
  long image = i / a->bands, top = i % a->bands * a->rows, end = top + a->rows < g->h ? top + a->rows : g->h;
  real *to = a->dx + image * g->h * g->w * g->c;
  if (!a->add)
    for (long k = top * g->w * g->c; k < end * g->w * g->c; k++) to[k] = 0;
  for (long j = image * g->points; j < (image + 1) * g->points; j++) {
    Between v = grid_axis(g, a->grid[2 * j + 1], g->h);
    if (v.at + 1 < top || v.at >= end) continue;
    Between u = grid_axis(g, a->grid[2 * j], g->w);
    const real *restrict dy = a->dy + j * g->c;
    for (long p = v.at; p < v.at + 2; p++) {
      if (p < top || p >= end) continue;
      for (long q = u.at; q < u.at + 2; q++) {
        if (q < 0 || q >= g->w) continue;
        real share = (p == v.at ? 1 - v.share : v.share) * (q == u.at ? 1 - u.share : u.share);
        real *restrict dx = to + (p * g->w + q) * g->c;
        for (long k = 0; k < g->c; k++) dx[k] += share * dy[k];
      }
    }
  }
}
HOT_KERNEL(grid_sample_image)

#endif
