/* The shape of a hand from its landmarks: bones with flesh around them and the palm between them; or the
 * convex hull of points of any other kind. */
#include "core/error.h"
#include "motion/person_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANDMARKS = 21 };

/* Bones with their radius in palm lengths. */
static const struct {
  int a, b;
  float radius;
} bones[] = {{0, 1, .16f},   {1, 2, .15f},   {2, 3, .12f},   {3, 4, .10f},   {5, 6, .10f},   {6, 7, .09f},
             {7, 8, .08f},   {9, 10, .10f},  {10, 11, .09f}, {11, 12, .08f}, {13, 14, .10f}, {14, 15, .09f},
             {15, 16, .08f}, {17, 18, .09f}, {18, 19, .08f}, {19, 20, .07f}, {0, 5, .12f},   {0, 17, .12f},
             {5, 9, .10f},   {9, 13, .10f},  {13, 17, .10f}};
static const int palm[] = {0, 1, 5, 9, 13, 17};
enum { BONES = sizeof bones / sizeof *bones, PALM = sizeof palm / sizeof *palm };

static float length(float x, float y) { return sqrtf(x * x + y * y); }

static int by_place(const void *a, const void *b) {
  const float *p = a, *q = b;
  return p[0] < q[0] ? -1 : p[0] > q[0] ? 1 : (p[1] > q[1]) - (p[1] < q[1]);
}

static float turn(const float *a, const float *b, const float *c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

/* The convex hull (Andrew 1979) of n points sorted by place; hull takes n + 1. */
static int hull_of(float (*points)[2], int n, float (*hull)[2]) {
  int k = 0;
  for (int pass = 0; pass < 2; pass++) {
    const int start = k;
    for (int j = 0; j < n; j++) {
      const float *p = points[pass ? n - 1 - j : j];
      while (k >= start + 2 && turn(hull[k - 2], hull[k - 1], p) <= 0) k--;
      if (k <= n) memcpy(hull[k++], p, sizeof *hull);
    }
    if (k > 1) k--; /* the last point starts the other half */
  }
  return k;
}

static void hand_of_landmarks(Shape *s, const float *p, float (*outline)[2]) {
  const float *middle = p + 2 * 9, *index = p + 2 * 5, *little = p + 2 * 17;
  float palm_length = length(middle[0] - p[0], middle[1] - p[1]);
  float palm_width = length(index[0] - little[0], index[1] - little[1]);
  float box = sqrtf((s->box[2] - s->box[0]) * (s->box[3] - s->box[1]));
  /* Seen at a slant a palm looks short or narrow: the largest guess is the one that is seen best. */
  s->size = fmaxf(fmaxf(palm_length, 1.3f * palm_width), fmaxf(0.4f * box, 2));
  for (int i = 0; i < BONES; i++) {
    const float *a = p + 2 * bones[i].a, *b = p + 2 * bones[i].b;
    s->segments[s->count++] = (Segment){a[0], a[1], b[0] - a[0], b[1] - a[1], bones[i].radius * s->size};
  }
  for (int i = 0; i < PALM; i++) memcpy(outline[i], p + 2 * palm[i], sizeof *outline);
  s->corners = PALM;
  float x = 0, y = 0;
  for (int i = 5; i <= 17; i += 4) {
    x += 0.25f * p[2 * i];
    y += 0.25f * p[2 * i + 1];
  }
  float n = length(p[0] - x, p[1] - y);
  memcpy(s->wrist, p, sizeof s->wrist);
  s->forearm = n > 0.2f * s->size; /* otherwise it points at the camera */
  s->along[0] = s->forearm ? (p[0] - x) / n : 0;
  s->along[1] = s->forearm ? (p[1] - y) / n : 0;
}

int shape_of(Shape *s, const PersonHand *hand, float (*outline)[2]) {
  const float *p = hand->points;
  *s = (Shape){.outline = outline, .box = {p[0], p[1], p[0], p[1]}};
  for (int i = 0; i < hand->count; i++) {
    if (!(fabsf(p[2 * i]) < 1e6f && fabsf(p[2 * i + 1]) < 1e6f))
      return fail("person: expected finite points, found (%g, %g) as number %d", p[2 * i], p[2 * i + 1],
                  i + 1);
    for (int c = 0; c < 2; c++) {
      s->box[c] = fminf(s->box[c], p[2 * i + c]);
      s->box[2 + c] = fmaxf(s->box[2 + c], p[2 * i + c]);
    }
  }
  if (hand->count == LANDMARKS) {
    hand_of_landmarks(s, p, outline);
    return 1;
  }
  float(*sorted)[2] = malloc((size_t)hand->count * sizeof *sorted);
  if (!sorted) return fail("out of memory: %d points of a hand", hand->count);
  memcpy(sorted, p, (size_t)hand->count * sizeof *sorted);
  qsort(sorted, (size_t)hand->count, sizeof *sorted, by_place);
  s->corners = hull_of(sorted, hand->count, outline);
  s->size = fmaxf(0.5f * sqrtf((s->box[2] - s->box[0]) * (s->box[3] - s->box[1])), 2);
  free(sorted);
  return 1;
}

static float segment_distance(const Segment *g, float x, float y) {
  float px = x - g->x, py = y - g->y, n = g->dx * g->dx + g->dy * g->dy;
  float t = n > 0 ? (px * g->dx + py * g->dy) / n : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  return length(px - t * g->dx, py - t * g->dy) - g->radius;
}

float shape_hand(const Shape *s, float x, float y) {
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

void shape_arm(const Shape *s, float x, float y, float *along, float *side) {
  float px = (x - s->wrist[0]) / s->size, py = (y - s->wrist[1]) / s->size;
  *along = px * s->along[0] + py * s->along[1];
  *side = fabsf(px * s->along[1] - py * s->along[0]);
}
