/* The shape of a hand from its landmarks: bones with flesh around them and the palm between them; or the
 * convex hull of points of any other kind. */
#include "core/error.h"
#include "motion/person_parts.h"
#include "motion/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float length(float x, float y) { return sqrtf(x * x + y * y); }

static void hand_of_landmarks(Shape *s, const float *p, float (*outline)[2]) {
  const float *middle = p + 2 * 9, *index = p + 2 * 5, *little = p + 2 * 17;
  float palm_length = length(middle[0] - p[0], middle[1] - p[1]);
  float palm_width = length(index[0] - little[0], index[1] - little[1]);
  float box = sqrtf((s->box[2] - s->box[0]) * (s->box[3] - s->box[1]));
  /* Seen at a slant a palm looks short or narrow: the largest guess is the one that is seen best. */
  s->size = fmaxf(fmaxf(palm_length, 1.3f * palm_width), fmaxf(0.4f * box, 2));
  for (int i = 0; i < SKELETON_BONES; i++) {
    const Bone *bone = &skeleton_bone[i];
    const float *a = p + 2 * bone->a, *b = p + 2 * bone->b;
    if (bone->radius > 0)
      s->segments[s->count++] = (Segment){a[0], a[1], b[0] - a[0], b[1] - a[1], bone->radius * s->size};
  }
  for (int i = 0; i < SKELETON_PALM; i++) memcpy(outline[i], p + 2 * skeleton_palm[i], sizeof *outline);
  s->corners = SKELETON_PALM;
  float x = 0, y = 0;
  for (int i = 0; i < KNUCKLES; i++) {
    const float *knuckle = p + 2 * skeleton_knuckle(i);
    x += 0.25f * knuckle[0];
    y += 0.25f * knuckle[1];
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
  double *xy = malloc((size_t)(2 * hand->count + 1) * 2 * sizeof *xy), *hull = xy + 2 * hand->count;
  if (!xy) return fail("out of memory: %d points of a hand", hand->count);
  for (int i = 0; i < 2 * hand->count; i++) xy[i] = p[i];
  s->corners = (int)points_hull(hand->count, xy, hull);
  for (int i = 0; i < s->corners; i++)
    outline[i][0] = (float)hull[2 * i], outline[i][1] = (float)hull[2 * i + 1];
  s->size = fmaxf(0.5f * sqrtf((s->box[2] - s->box[0]) * (s->box[3] - s->box[1])), 2);
  free(xy);
  return s->corners > 0;
}

void shape_arm(const Shape *s, float x, float y, float *along, float *side) {
  float px = (x - s->wrist[0]) / s->size, py = (y - s->wrist[1]) / s->size;
  *along = px * s->along[0] + py * s->along[1];
  *side = fabsf(px * s->along[1] - py * s->along[0]);
}
