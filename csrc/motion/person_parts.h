/* What the files of the person masks share. */
#ifndef MOTION_PERSON_PARTS_H
#define MOTION_PERSON_PARTS_H

#include "motion/person.h"
#include "motion/shape.h"

/* ---- person_shape.c: where a hand is, in units of its size ---- */

/* Fills `s`; `outline` takes up to hand->count + 1 points.
 * 0 with a message for points that are not finite. */
int shape_of(Shape *s, const PersonHand *hand, float (*outline)[2]);

/* A pixel's place along the forearm (0 at the wrist) and its distance from the axis, in sizes. */
void shape_arm(const Shape *s, float x, float y, float *along, float *side);

#endif
