/* What responsibility.c hands to its vector kernels: one image row at a time, motions prepared for float
 * arithmetic.
 *
 * A motion M is kept around a centre c = (cx, cy): with p = c + (ξ, η), divided so that w = 1 at c,
 *   M p - p = ( (bx + axx ξ + axy η - ξ s) / (1 + s), (by + ayx ξ + ayy η - η s) / (1 + s) ),  s = gx ξ + gy
 * η. So the small numbers that matter are computed from small numbers, and float32 is enough. */
#ifndef MOTION_ISA_RESPONSIBILITY_H
#define MOTION_ISA_RESPONSIBILITY_H

#include "backend/isa.h"

#include <stdbool.h>

enum { HANDS_MAX = 64 };

typedef struct Plane {
  double cx, cy, bx, by, axx, axy, ayx, ayy, gx, gy;
  bool hidden; /* everything is beyond the horizon */
} Plane;

/* A plane within one row: η is known. */
typedef struct RowPlane {
  float cx, xx, x0, yx, eta, y0, gx, s0;
} RowPlane;

typedef struct RowJob {
  long width; /* of the part to fill */
  int gaps, hands;
  bool still; /* static background: planes are gaps×hands, else gaps×(hands+1) with the background last */
  const float *const *flow; /* gaps: this row's flow, width×2 */
  const RowPlane *plane;
  float scale; /* all lengths are multiplied by it: log2(e) / temperature, 1 for residuals */
} RowJob;

ISA_DECLARE(void, responsibility_row, const RowJob *job, float *out /* width×(hands+1) */);
ISA_DECLARE(void, residual_row, const RowJob *job, int gap, float *out /* width×(hands+1) */);
/* factor[x] = exp2(scale × the distance of (x, y) to a convex hull), scale <= 0. */
ISA_DECLARE(void, closeness_row, long width, float y, long corners, const float *hull, float scale,
            float *factor);

#endif
