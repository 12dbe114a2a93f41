/* Points on hands and in flow fields: sampling, hulls, extra points within sparse landmarks. Doubles, (x, y)
 * pairs, pixel centres on integers. */
#ifndef MOTION_POINTS_H
#define MOTION_POINTS_H

#include "backend/each.h"

#include <math.h>

/* The flow at one point: see points_sample. */
BODY void point_sample(const float *flow, long width, long height, long row, const double *xy, double *uv) {
  const double right = (double)(width - 1), bottom = (double)(height - 1);
  const double x = xy[0] < 0       ? 0
                   : xy[0] > right ? right
                                   : xy[0],
               y = xy[1] < 0        ? 0
                   : xy[1] > bottom ? bottom
                                    : xy[1];
  if (!(x >= 0) || !(y >= 0)) { /* not a number */
    uv[0] = uv[1] = NAN;
    return;
  }
  long x0 = (long)x, y0 = (long)y, x1 = x0 + 1 < width ? x0 + 1 : x0, y1 = y0 + 1 < height ? y0 + 1 : y0;
  double b = x - (double)x0, a = y - (double)y0;
  for (int c = 0; c < 2; c++) {
    double top = (1 - b) * flow[(y0 * row + x0) * 2 + c] + b * flow[(y0 * row + x1) * 2 + c];
    double low = (1 - b) * flow[(y1 * row + x0) * 2 + c] + b * flow[(y1 * row + x1) * 2 + c];
    uv[c] = (1 - a) * top + a * low;
  }
}

/* Twice the signed area of the triangle abc: its sign is the sense of the turn. */
BODY double points_turn(const double *a, const double *b, const double *c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

/* uv[i] = the flow at xy[i], bilinear; points outside the first width × height pixels are clamped to them.
 * row: pixels from one row of the flow to the next (>= width). */
void points_sample(const float *flow /* height×row×2 */, long width, long height, long row, long n,
                   const double *xy /* n×2 */, double *uv /* n×2 */);

/* The convex hull of n >= 1 points, counter-clockwise as y points up, without repetition; hull has room for n
 * + 1 points. Returns its number of corners (1 or 2 when the points coincide or are on a line); 0 with a
 * message when memory is short. */
long points_hull(long n, const double *xy, double *hull);

/* The square of the distance of (x, y) to the segment from a to b. */
BODY double points_segment2(const double *a, const double *b, double x, double y) {
  double dx = b[0] - a[0], dy = b[1] - a[1], square = dx * dx + dy * dy;
  double t = square > 0 ? ((x - a[0]) * dx + (y - a[1]) * dy) / square : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  double ex = x - a[0] - t * dx, ey = y - a[1] - t * dy;
  return ex * ex + ey * ey;
}

/* The distance from (x, y) to a convex hull; 0 within it. */
BODY double points_hull_distance(long corners, const double *hull, double x, double y) {
  double nearest = INFINITY, at[2] = {x, y};
  int outside = corners < 3;
  for (long i = 0; i < corners; i++) {
    const double *a = hull + 2 * i, *b = hull + 2 * ((i + 1) % corners);
    nearest = fmin(nearest, points_segment2(a, b, x, y));
    if (points_turn(a, b, at) < 0) outside = 1;
  }
  return outside ? sqrt(nearest) : 0;
}

/* √(area of the bounding box): the hand size that distances are measured in. */
double points_size(long n, const double *xy);

/* Up to `wanted` points spread evenly within the hand and within width × height pixels: the thickened
 * skeleton when the hand has MediaPipe's 21 landmarks, else the convex hull. The same hand gives the same
 * points. Returns how many there are; fewer (or none) when hardly any of the hand is visible or it has no
 * area; -1 with a message when memory is short. n >= 1. */
long points_within(long n, const double *xy, long wanted, long width, long height,
                   double *out /* wanted×2 */);

#endif
