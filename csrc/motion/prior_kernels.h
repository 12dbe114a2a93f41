/* The steps of sharpening's priors (prior.h), which every device computes in its own way, and what they say of one pixel. */
#ifndef MOTION_PRIOR_KERNELS_H
#define MOTION_PRIOR_KERNELS_H

#include "motion/points.h"
#include "motion/shape.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Device Device;

enum {
  PRIOR_LEVELS = 100,
  PRIOR_COUNTS = PRIOR_LEVELS + 3
}; /* counts: of every level, of blocks that are done, room */

static const double prior_reach_sizes = 2; /* hand sizes from the hull */
static const float prior_flesh = -0.03f;   /* palm lengths: so far inside the outline it is surely the hand */
static const float prior_own = 0.95f,
                   prior_another = 0.05f; /* what flesh is worth at least, and at most to others */
static const float prior_least = 1e-4f;   /* of a map within reach */

/* The pixels of the content that a hand may reach, where its map is not 0, with a margin of ground around them. */
typedef struct PriorReach {
  long x0, y0, x1, y1; /* x0 <= x < x1, y0 <= y < y1 */
} PriorReach;

/* A hand, whose hull and outline are in the device's memory. */
typedef struct PriorHand {
  PriorReach box;
  Shape shape;
  double size;
  long corners;
  const double *hull; /* corners x 2 */
} PriorHand;

/* Maps of height x width x (hands + 1), planes of the content; in the device's memory. */
typedef struct Priors {
  long width, content_width;
  int hands, k; /* of this hand */
  const float *map;
  float *out, *distance, *ground; /* ground: one number */
  uint8_t *owned, *mine;          /* whether a pixel is flesh of some hand, of this one */
  unsigned *counts;               /* PRIOR_COUNTS */
} Priors;

static inline long prior_pixels(const PriorHand *h) {
  return (h->box.x1 - h->box.x0) * (h->box.y1 - h->box.y0);
}

/* Distance to the hull in hand sizes, and flesh. */
BODY void prior_place(const Priors *p, const PriorHand *h, long x, long y, bool claim) {
  const double d = points_hull_distance(h->corners, h->hull, (double)x, (double)y) / h->size;
  const long i = y * p->content_width + x;
  p->distance[i] = (float)d;
  p->mine[i] = d == 0 && shape_hand(&h->shape, (float)x, (float)y) < prior_flesh;
  if (claim) p->owned[i] |= p->mine[i];
}

BODY long prior_at(const Priors *p, long x, long y) { return (y * p->width + x) * (p->hands + 1) + p->k; }

BODY bool prior_within(const Priors *p, long x, long y) {
  return p->distance[y * p->content_width + x] <= (float)prior_reach_sizes;
}

/* The level of a pixel's map; -1: beyond reach. */
BODY int prior_level_of(const Priors *p, long x, long y) {
  if (!prior_within(p, x, y)) return -1;
  return (int)(PRIOR_LEVELS * fmaxf(0, fminf(1, p->map[prior_at(p, x, y)])));
}

/* What a fifth of the pixels within reach stay below: the level of the ground near by. Of a hand that does not move
 * against it a map has some everywhere. */
BODY float prior_ground(const unsigned *counts) {
  long total = 0, below = 0;
  int level = 0;
  for (int i = 0; i <= PRIOR_LEVELS; i++) total += counts[i];
  while (level < PRIOR_LEVELS && below + counts[level] <= total / 5) below += counts[level++];
  return fminf((float)level / PRIOR_LEVELS, 0.9f);
}

BODY void prior_weigh(const Priors *p, long x, long y) {
  const long i = y * p->content_width + x, to = prior_at(p, x, y);
  if (!prior_within(p, x, y)) return;
  float r = fmaxf(0, p->map[to] - *p->ground) / (1 - *p->ground);
  if (p->mine[i])
    r = fmaxf(r, prior_own);
  else if (p->owned[i])
    r = fminf(r, prior_another);
  p->out[to] = fmaxf(r, prior_least);
}

/* The background's, of a pixel. */
BODY void prior_rest(float *pixel, int hands) {
  float sum = 0;
  for (int k = 0; k < hands; k++) sum += pixel[k];
  pixel[hands] = sum < 1 ? 1 - sum : 0;
}

/* Steps on a device. Each returns 1, or 0 with a message. */
typedef struct PriorKernels {
  /* Of a hand's box: distance and mine; claim: owned takes what is. */
  int (*place)(Device *, const Priors *, const PriorHand *, bool claim);
  int (*ground)(Device *, const Priors *, const PriorHand *); /* counts are zeros */
  int (*weigh)(Device *, const Priors *, const PriorHand *);
  int (*rest)(Device *, long pixels, int hands, float *map);
} PriorKernels;

#endif
