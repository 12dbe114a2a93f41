/* The shape of a hand: bones with flesh around them and the palm between them, and how far a pixel is from it; for every
 * device. How it follows from landmarks: person_shape.c. */
#ifndef MOTION_SHAPE_H
#define MOTION_SHAPE_H

#include "backend/each.h"
#include "motion/skeleton.h"

#include <math.h>

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

/* In float and from what a segment keeps: this runs for every pixel and bone. */
BODY float segment_distance(const Segment *g, float x, float y) {
  float px = x - g->x, py = y - g->y, n = g->dx * g->dx + g->dy * g->dy;
  float t = n > 0 ? (px * g->dx + py * g->dy) / n : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  float ex = px - t * g->dx, ey = py - t * g->dy;
  return sqrtf(ex * ex + ey * ey) - g->radius;
}

/* Distance of a pixel from the thickened hand, negative inside, in sizes. */
BODY float shape_hand(const Shape *s, float x, float y) {
  float best = 1e9f, edge = 1e9f;
  int inside = 0;
  for (int i = 0; i < s->count; i++) best = fminf(best, segment_distance(&s->segments[i], x, y));
  for (int i = 0, j = s->corners - 1; i < s->corners; j = i++) {
    const float *a = s->outline[i], *b = s->outline[j];
    Segment side = {a[0], a[1], b[0] - a[0], b[1] - a[1], 0};
    edge = fminf(edge, segment_distance(&side, x, y));
    if ((a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) * (b[0] - a[0]) / (b[1] - a[1])) inside = !inside;
  }
  return fminf(best, inside ? -edge : edge) / s->size;
}

#endif
