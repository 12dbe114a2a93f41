/* The least cut of a grid of pixels (Boykov and Kolmogorov, "An Experimental Comparison of Min-Cut/Max-Flow
 * Algorithms for Energy Minimization in Vision", TPAMI 2004): the mask that minimises
 *   sum of odds over the pixels left out, -odds over those taken in, + sum of edges between unlike neighbours
 * exactly. Integers inside, so that the result depends on nothing but the numbers given. */
#ifndef MOTION_CUT_H
#define MOTION_CUT_H

#include <stdint.h>

/* Eight neighbours a pixel; edge of two neighbours = smooth exp(-|c - c'|^2 / (2 mean |c - c'|^2)) / distance.
 * odds: of being in, in nats, limited to ±50; above 0: rather in; infinite: the pixel is fixed. mask: 0 or 1. About 60 bytes a pixel while it
 * works. 1; 0 with a message for short memory or Ctrl-C. */
int cut_mask(const float *colours /* h x w x 3 */, long h, long w, const float *odds, float smooth,
             float *mask /* h x w */);

#endif
