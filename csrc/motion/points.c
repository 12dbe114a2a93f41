/* Bilinear flow samples, convex hulls, and extra points inside a hand. A homography of 21 landmarks is
 * ill-conditioned; some hundred points on the same surface make it firm. */
#include "motion/points.h"

#include "core/error.h"
#include "motion/skeleton.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void points_sample(const float *flow, long width, long height, long row, long n, const double *xy,
                   double *uv) {
  for (long i = 0; i < n; i++) point_sample(flow, width, height, row, xy + 2 * i, uv + 2 * i);
}

static int by_place(const void *a, const void *b) {
  const double *p = a, *q = b;
  if (p[0] != q[0]) return p[0] < q[0] ? -1 : 1;
  return p[1] < q[1] ? -1 : p[1] > q[1];
}

/* One chain of Andrew's monotone chains over sorted points, appended from hull[from] on. */
static long chain(long n, const double *sorted, long from, double *hull) {
  long k = from;
  for (long i = 0; i < n; i++) {
    while (k >= from + 2 && points_turn(hull + 2 * (k - 2), hull + 2 * (k - 1), sorted + 2 * i) <= 0) k--;
    memcpy(hull + 2 * k++, sorted + 2 * i, 2 * sizeof *hull);
  }
  return k;
}

static void reverse(long n, double *xy) {
  for (long i = 0, j = n - 1; i < j; i++, j--)
    for (int c = 0; c < 2; c++) {
      double swap = xy[2 * i + c];
      xy[2 * i + c] = xy[2 * j + c], xy[2 * j + c] = swap;
    }
}

long points_hull(long n, const double *xy, double *hull) {
  double *sorted = malloc((size_t)n * 4 * sizeof *sorted), *lower = sorted + 2 * n;
  if (!sorted) return fail("points: out of memory for a hull of %ld", n);
  memcpy(sorted, xy, (size_t)n * 2 * sizeof *xy);
  qsort(sorted, (size_t)n, 2 * sizeof *sorted, by_place);
  long distinct = 1;
  for (long i = 1; i < n; i++)
    if (by_place(sorted + 2 * i, sorted + 2 * (distinct - 1)))
      memmove(sorted + 2 * distinct++, sorted + 2 * i, 2 * sizeof *sorted);
  if (distinct == 1) {
    memcpy(hull, sorted, 2 * sizeof *hull);
    free(sorted);
    return 1;
  }
  long k = chain(distinct, sorted, 0, lower) - 1; /* each chain ends where the other starts */
  memcpy(hull, lower, (size_t)k * 2 * sizeof *hull);
  reverse(distinct, sorted);
  long upper = chain(distinct, sorted, 0, lower) - 1;
  memcpy(hull + 2 * k, lower, (size_t)upper * 2 * sizeof *hull);
  free(sorted);
  return k + upper;
}

/* The bounding box. */
static void box_of(long n, const double *xy, double *low, double *high) {
  low[0] = low[1] = INFINITY, high[0] = high[1] = -INFINITY;
  for (long i = 0; i < 2 * n; i++) {
    low[i % 2] = fmin(low[i % 2], xy[i]);
    high[i % 2] = fmax(high[i % 2], xy[i]);
  }
}

double points_size(long n, const double *xy) {
  double low[2], high[2];
  box_of(n, xy, low, high);
  return n > 0 ? sqrt(fmax(0, high[0] - low[0]) * fmax(0, high[1] - low[1])) : 0;
}

/* Even-odd rule. */
static int within_palm(const double *xy, double x, double y) {
  int inside = 0;
  for (int i = 0, j = SKELETON_PALM - 1; i < SKELETON_PALM; j = i++) {
    const double *a = xy + 2 * skeleton_palm[i], *b = xy + 2 * skeleton_palm[j];
    if ((a[1] > y) != (b[1] > y) && x < a[0] + (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1])) inside = !inside;
  }
  return inside;
}

/* A finger is about a quarter as thick as the palm is long: the radius is an eighth of the wrist's mean
 * distance to the knuckles. */
static double finger_radius(const double *xy) {
  double sum = 0;
  for (int i = 0; i < KNUCKLES; i++) {
    const double *knuckle = xy + 2 * skeleton_knuckle(i);
    sum += hypot(knuckle[0] - xy[0], knuckle[1] - xy[1]);
  }
  return sum / KNUCKLES / 8;
}

static int within_skeleton(const double *xy, double radius, double x, double y) {
  if (within_palm(xy, x, y)) return 1;
  for (int i = 0; i < SKELETON_BONES; i++) {
    const Bone *bone = &skeleton_bone[i];
    if (points_segment2(xy + 2 * bone->a, xy + 2 * bone->b, x, y) <= radius * radius) return 1;
  }
  return 0;
}

long points_within(long n, const double *xy, long wanted, long width, long height, double *out) {
  double low[2], high[2], *hull = malloc((size_t)(n + 1) * 2 * sizeof *hull);
  if (!hull) return fail("points: out of memory for a hull of %ld", n) - 1;
  box_of(n, xy, low, high);
  double radius = n == LANDMARKS ? finger_radius(xy) : 0,
         size[2] = {(double)(width - 1), (double)(height - 1)};
  for (int c = 0; c < 2; c++) low[c] = fmax(0, low[c] - radius), high[c] = fmin(size[c], high[c] + radius);
  long corners = points_hull(n, xy, hull), found = corners ? 0 : -1;
  if (corners >= 3 && low[0] <= high[0] && low[1] <= high[1]) {
    /* the additive sequence of the plastic number fills the box evenly at any length */
    double a = 0.5, b = 0.5;
    for (long tries = 0; tries < 64 * wanted && found < wanted; tries++) {
      a += 0.7548776662466927, b += 0.5698402909980532;
      a -= floor(a), b -= floor(b);
      double x = low[0] + a * (high[0] - low[0]), y = low[1] + b * (high[1] - low[1]);
      if (n == LANDMARKS ? !within_skeleton(xy, radius, x, y) : points_hull_distance(corners, hull, x, y) > 0)
        continue;
      out[2 * found] = x, out[2 * found + 1] = y;
      found++;
    }
  }
  free(hull);
  return found;
}
