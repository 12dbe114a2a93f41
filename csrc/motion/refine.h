/* A soft mask brought to the outlines of the picture (after GrabCut, Rother et al. 2004): the colours of what is in
 * and of what is out near by are learned from the one picture, weighed against the mask's own odds, and cut out along
 * edges (cut.h), twice. */
#ifndef MOTION_REFINE_H
#define MOTION_REFINE_H

#include <stdint.h>

/* odds: log odds of a pixel's being in. domain: pixels of 0 are out, and teach nothing; NULL: all may be in. Looks at
 * what is within a part of the mask's size of it alone. A mask of no pixel stays one; one that leaves too little to
 * learn colours from is what has odds above 0. mask: 0 or 1. 1; 0 with a message for short memory or Ctrl-C. */
int refine_mask(const uint8_t *image /* h×w×3 */, long h, long w, const float *odds /* h×w */,
                const uint8_t *domain /* h×w or NULL */, float *mask /* h×w */);

#endif
