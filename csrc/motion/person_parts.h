/* What the files of the person masks share. */
#ifndef MOTION_PERSON_PARTS_H
#define MOTION_PERSON_PARTS_H

#include "motion/person.h"
#include "motion/skeleton.h"

/* ---- person_shape.c: where a hand is, in units of its size ---- */

typedef struct Segment {
  float x, y, dx, dy, radius; /* start, extent, all in pixels */
} Segment;

typedef struct Shape {
  float size;               /* length of the palm, pixels */
  int forearm;              /* whether there is a wrist to start it from */
  float wrist[2], along[2]; /* the wrist, and the unit vector from the fingers to it */
  float box[4];             /* of the points: x0, y0, x1, y1 */
  Segment segments[SKELETON_BONES];
  int count;
  float (*outline)[2]; /* of the palm, or of all points: a polygon of `corners` points */
  int corners;
} Shape;

/* Fills `s`; `outline` takes up to hand->count + 1 points.
 * 0 with a message for points that are not finite. */
int shape_of(Shape *s, const PersonHand *hand, float (*outline)[2]);

/* Distance of a pixel from the thickened hand, negative inside, in sizes. */
float shape_hand(const Shape *s, float x, float y);

/* A pixel's place along the forearm (0 at the wrist) and its distance from the axis, in sizes. */
void shape_arm(const Shape *s, float x, float y, float *along, float *side);

#endif
