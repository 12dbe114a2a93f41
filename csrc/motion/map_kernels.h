/* The steps of residuals and responsibility maps, which every device computes in its own way, and what they share.
 *
 * A motion M is kept around a centre c = (cx, cy): with p = c + (ξ, η), divided so that w = 1 at c,
 *   M p - p = ( (bx + axx ξ + axy η - ξ s) / (1 + s), (by + ayx ξ + ayy η - η s) / (1 + s) ),  s = gx ξ + gy
 * η. So the small numbers that matter are computed from small numbers, and float32 is enough. */
#ifndef MOTION_MAP_KERNELS_H
#define MOTION_MAP_KERNELS_H

#include "backend/each.h"
#include "motion/responsibility.h"

enum { HANDS_MAX = 64 };

typedef struct Plane {
  double cx, cy, bx, by, axx, axy, ayx, ayy, gx, gy;
  bool hidden; /* everything is beyond the horizon */
} Plane;

/* A plane within one row: η is known. */
typedef struct RowPlane {
  float cx, xx, x0, yx, eta, y0, gx, s0;
} RowPlane;

/* In lengths that are `scale` times pixels. */
BODY RowPlane row_plane(const Plane *p, long y, double scale) {
  double eta = (double)y - p->cy, x0 = p->bx + p->axy * eta, y0 = p->by + p->ayy * eta;
  RowPlane r;
  r.cx = (float)(p->cx * scale);
  r.xx = (float)p->axx;
  r.x0 = (float)(x0 * scale);
  r.yx = (float)p->ayx;
  r.eta = (float)(eta * scale);
  r.y0 = (float)(y0 * scale);
  r.gx = (float)(p->gx / scale);
  r.s0 = p->hidden ? -2 : (float)(p->gy * eta); /* w = 1 + s: negative */
  return r;
}

/* Beyond the horizon, or where the flow is no number. The background's value is the smaller one, so that
 * where all are lost the softmax gives it everything. */
#define LOST_HAND 2e18f
#define LOST_GROUND 1e18f

typedef struct MapJob {
  const Scene *scene;
  int planes; /* of a gap: one for each hand and, unless it is still, for the background */
  const Plane *plane;
  bool still, residuals;
  double scale; /* all lengths are multiplied by it: log2(e) / temperature, 1 for residuals */
  float *out;
} MapJob;

/* Convex hulls of the hands: corners (x, y) first[k] .. first[k + 1] - 1, and what a map falls by:
 * exp2(scale × distance), scale <= 0. */
typedef struct Hulls {
  const float *corner;
  long first[HANDS_MAX + 1];
  float scale[HANDS_MAX];
} Hulls;

/* Steps on a device: flows and images are in its memory, all else in the host's. Each returns 1, or 0 with a
 * message. */
typedef struct MapKernels {
  /* The flows at points: points_sample of every gap. */
  int (*sample)(const Scene *, long n, const double *xy /* n×2 */, double *uv /* gaps×n×2 */);
  int (*fill)(const MapJob *);
  int (*closeness)(const Scene *, const Hulls *, float *map);
} MapKernels;

extern const MapKernels maps_cpu;

#endif
