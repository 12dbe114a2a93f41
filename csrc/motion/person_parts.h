/* What the files of the person masks share. */
#ifndef MOTION_PERSON_PARTS_H
#define MOTION_PERSON_PARTS_H

#include "motion/person.h"

/* ---- person_mixture.c: Gaussian mixtures over colours (0 to 255), full covariances ---- */

enum { MIXTURE_MAX = 6 };
typedef struct Mixture {
  int n;
  float mean[MIXTURE_MAX][3];
  float inverse[MIXTURE_MAX][6]; /* of the covariance: xx, xy, xz, yy, yz, zz */
  float log_weight[MIXTURE_MAX]; /* with the normalisation */
} Mixture;

/* Fits at most k components to weighted colours by expectation maximisation; fewer to little weight; 0 (no
 * message) to next to none. */
int mixture_fit(Mixture *m, const float *colours /* count x 3 */, const float *weights, long count, int k);

/* Log density of a colour; some of it belongs to colours of any kind. */
float mixture_log(const Mixture *m, const float *colour);

/* ---- person_shape.c: where a hand is, in units of its size ---- */

typedef struct Segment {
  float x, y, dx, dy, radius; /* start, extent, all in pixels */
} Segment;

enum { SEGMENTS = 21 };
typedef struct Shape {
  float size;               /* length of the palm, pixels */
  int forearm;              /* whether there is a wrist to start it from */
  float wrist[2], along[2]; /* the wrist, and the unit vector from the fingers to it */
  float box[4];             /* of the points: x0, y0, x1, y1 */
  Segment segments[SEGMENTS];
  int count;
  float (*outline)[2]; /* of the palm, or of all points: a polygon of `corners` points */
  int corners;
} Shape;

/* Fills `s`; `outline` takes up to hand->count + 1 points. 0 with a message for points that are not finite.
 */
int shape_of(Shape *s, const PersonHand *hand, float (*outline)[2]);

/* Distance of a pixel from the thickened hand, negative inside, in sizes. */
float shape_hand(const Shape *s, float x, float y);

/* A pixel's place along the forearm (0 at the wrist) and its distance from the axis, in sizes. */
void shape_arm(const Shape *s, float x, float y, float *along, float *side);

/* ---- person_smooth.c ---- */

/* Spreads q (0 to 1) over h x w pixels, but not over edges of the image: p minimises
 * sum trust (p - q)^2 + smooth sum k (p - p')^2 over neighbours with k = exp(-|c - c'|^2 / (2 mean |c -
 * c'|^2)). work: 3 h w floats. 0 on Ctrl-C. */
int person_smooth(const float *colours /* h x w x 3 */, long h, long w, const float *q, const float *trust,
                  float smooth, float *p, float *work);

#endif
