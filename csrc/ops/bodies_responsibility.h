/* The responsibility loss of one score: see op_responsibility_loss.c. */
#ifndef OPS_BODIES_RESPONSIBILITY_H
#define OPS_BODIES_RESPONSIBILITY_H

#include "ops/hot.h"

#include <math.h>

/* Smooth-L1 of the clamped score s against r. */
BODY real responsibility_size(real s, real r) {
  real beta = (real)0.5, size = RM(fabs)((s < 0 ? 0 : s > 1 ? 1 : s) - r);
  return size < beta ? size * size / (2 * beta) : size - beta / 2;
}

/* Its derivative by the score. */
BODY real responsibility_slope(real s, real r, bool through) {
  real beta = (real)0.5, d = (s < 0 ? 0 : s > 1 ? 1 : s) - r;
  real slope = d >= beta ? 1 : d <= -beta ? -1 : d / beta;
  if (s >= 0 && s <= 1) return slope;
  return through && (s > 1 ? slope > 0 : slope < 0) ? slope : 0;
}

/* The pixel, of `size` along an axis, that is nearest to v. */
BODY long nearest_pixel(real v, long size) {
  real r = RM(floor)(v + (real)0.5);
  return !(r > 0) ? 0 : r >= (real)size ? size - 1 : (long)r;
}

#endif
