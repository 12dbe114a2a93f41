/* What the CPU's maps hand to their vector kernels: one image row at a time, motions prepared for float
 * arithmetic. */
#ifndef MOTION_ISA_RESPONSIBILITY_H
#define MOTION_ISA_RESPONSIBILITY_H

#include "backend/isa.h"
#include "motion/map_kernels.h"

typedef struct RowJob {
  long width; /* of the part to fill */
  int gaps, hands;
  bool still; /* static background: planes are gaps×hands, else gaps×(hands+1) with the background last */
  const float *const *flow; /* gaps: this row's flow, width×2 */
  const RowPlane *plane;
  float scale; /* see MapJob */
} RowJob;

ISA_DECLARE(void, responsibility_row, const RowJob *job, float *out /* width×(hands+1) */);
ISA_DECLARE(void, residual_row, const RowJob *job, int gap, float *out /* width×(hands+1) */);
/* factor[x] = exp2(scale × the distance of (x, y) to a convex hull), scale <= 0. */
ISA_DECLARE(void, closeness_row, long width, float y, long corners, const float *hull, float scale,
            float *factor);

#endif
