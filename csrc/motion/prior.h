/* What a map is worth before the image is asked: its place, and whose flesh a pixel is. */
#ifndef MOTION_PRIOR_H
#define MOTION_PRIOR_H

#include "motion/prior_kernels.h"
#include "motion/responsibility.h"

/* Maps as sharpening starts from them, for every hand:
 * - the level of the ground near by is nobody's: it is taken off;
 * - what lies inside the thickened skeleton (of other than 21 points: the hull) is the hand's own, and not
 *   another's;
 * - 0 beyond two hand sizes from the landmarks' hull and outside the content, above 0 everywhere else.
 * The background keeps what the hands leave. On the scene's device. 0 with a message for short memory or Ctrl-C. */
int prior_maps(const Scene *scene, const float *map /* H×W×(N+1) */, float *out /* the same */);

/* What hand k may reach. */
PriorReach prior_reach(const Scene *scene, int k);

#endif
