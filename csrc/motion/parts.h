/* A hand and what it holds, out of the map of what moves with it. */
#ifndef MOTION_PARTS_H
#define MOTION_PARTS_H

#include "motion/responsibility.h"

#include <stdint.h>

/* Splits every hand's map (over 0.4: what two hands share is in) into the hand and the object that it holds, as
 * masks of 0 and 1. Colours of the flesh inside the thickened skeleton are told from those far from it, weighed
 * against the place, and cut along edges (cut.h); the forearm, as far as landmarks tell where it leaves, is
 * neither. An object of less than a tenth of the hand's pixels is none: the hand is empty. Memory is the host's.
 * 0 with a message for short memory or Ctrl-C. */
int parts_split(const Scene *scene, const uint8_t *image /* H×W×3 */, const float *map /* H×W×(N+1) */,
                uint8_t *hand /* N×H×W */, uint8_t *object /* N×H×W */);

#endif
