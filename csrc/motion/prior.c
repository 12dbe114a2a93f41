/* Priors of sharpening, hand by hand, within the box that a hand may reach. */
#include "motion/prior.h"

#include "core/error.h"
#include "core/memory.h"
#include "core/pool.h"
#include "motion/person_parts.h"
#include "motion/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS = 100 };

static const double reach = 2, margin = 1; /* hand sizes from the hull */
static const float flesh = -0.03f;         /* palm lengths: so far inside the outline it is surely the hand */
static const float own = 0.95f, another = 0.05f; /* what flesh is worth at least, and at most to others */
static const float least = 1e-4f;                /* of a map within reach */

typedef struct Hand {
  Shape shape;
  float *points, (*outline)[2];
  double *hull, size;
  long corners;
  Reach box;
} Hand;

typedef struct Job {
  const Scene *scene;
  const Hand *hand;
  const float *map;
  float *out, *distance, ground;
  uint8_t *owned, *mine; /* whether a pixel is flesh of some hand, of this one */
  int k;
} Job;

static void forget(Hand *h) { free(h->points), free(h->outline), free(h->hull); }

static long within(double x, long most) { return x < 0 ? 0 : x > (double)most ? most : (long)x; }

static const double beyond = 1e6 - 1; /* what a shape takes */

static double size_of(const Scene *s, int k) {
  return fmax(points_size(s->vertex_count[k], s->vertices[k]), 1);
}

Reach prior_reach(const Scene *s, int k) {
  double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
  for (long i = 0; i < 2 * s->vertex_count[k]; i++) {
    const double v = fmax(-beyond, fmin(beyond, s->vertices[k][i]));
    low[i % 2] = fmin(low[i % 2], v), high[i % 2] = fmax(high[i % 2], v);
  }
  const double far = (reach + margin) * size_of(s, k);
  return (Reach){within(low[0] - far, s->content_width), within(low[1] - far, s->content_height),
                 within(high[0] + far + 1, s->content_width), within(high[1] + far + 1, s->content_height)};
}

static int know(const Scene *s, int k, Hand *h) {
  const long n = s->vertex_count[k];
  h->points = malloc((size_t)n * 2 * sizeof *h->points);
  h->outline = malloc((size_t)(n + 2) * sizeof *h->outline);
  h->hull = malloc((size_t)(n + 1) * 2 * sizeof *h->hull);
  if (!h->points || !h->outline || !h->hull)
    return fail("sharpen: out of memory for %ld points of a hand", n);
  for (long i = 0; i < 2 * n; i++) h->points[i] = (float)fmax(-beyond, fmin(beyond, s->vertices[k][i]));
  h->box = prior_reach(s, k);
  h->size = size_of(s, k);
  return shape_of(&h->shape, &(PersonHand){h->points, (int)n}, h->outline) &&
         (h->corners = points_hull(n, s->vertices[k], h->hull)) > 0;
}

/* Distances to the hull in hand sizes, and flesh, of a row of the box. */
static int place_row(void *arg, long row) {
  const Job *j = arg;
  const Hand *h = j->hand;
  const long y = h->box.y0 + row, w = j->scene->content_width;
  for (long x = h->box.x0; x < h->box.x1; x++) {
    const double d = points_hull_distance(h->corners, h->hull, (double)x, (double)y) / h->size;
    j->distance[y * w + x] = (float)d;
    j->mine[y * w + x] = d == 0 && shape_hand(&h->shape, (float)x, (float)y) < flesh;
  }
  return 1;
}

static int place(Job *j, const Hand *h) {
  j->hand = h;
  return parallel(h->box.y1 - h->box.y0, place_row, j);
}

/* What a fifth of the pixels within reach stay below: the level of the ground near by. Of a hand that does not move
 * against it a map has some everywhere. */
static float ground_level(const Job *j) {
  const Reach *b = &j->hand->box;
  const Scene *s = j->scene;
  long count[LEVELS + 1] = {0}, total = 0, below = 0;
  for (long y = b->y0; y < b->y1; y++)
    for (long x = b->x0; x < b->x1; x++)
      if (j->distance[y * s->content_width + x] <= (float)reach) {
        const float r = j->map[(y * s->width + x) * (s->hands + 1) + j->k];
        count[(int)(LEVELS * fmaxf(0, fminf(1, r)))]++, total++;
      }
  int level = 0;
  while (level < LEVELS && below + count[level] <= total / 5) below += count[level++];
  return fminf((float)level / LEVELS, 0.9f);
}

static int weigh_row(void *arg, long row) {
  const Job *j = arg;
  const Hand *h = j->hand;
  const Scene *s = j->scene;
  const long y = h->box.y0 + row;
  for (long x = h->box.x0; x < h->box.x1; x++) {
    const long i = y * s->content_width + x, to = (y * s->width + x) * (s->hands + 1) + j->k;
    if (!(j->distance[i] <= (float)reach)) continue;
    float r = fmaxf(0, j->map[to] - j->ground) / (1 - j->ground);
    if (j->mine[i])
      r = fmaxf(r, own);
    else if (j->owned[i])
      r = fminf(r, another);
    j->out[to] = fmaxf(r, least);
  }
  return 1;
}

static void rest(const Scene *s, float *map) {
  for (long i = 0; i < s->height * s->width; i++, map += s->hands + 1) {
    float sum = 0;
    for (int k = 0; k < s->hands; k++) sum += map[k];
    map[s->hands] = sum < 1 ? 1 - sum : 0;
  }
}

int prior_maps(const Scene *s, const float *map, float *out) {
  const long n = s->content_height * s->content_width;
  const size_t bytes = (size_t)n * (sizeof(float) + 2);
  float *block = memory_take(bytes);
  Hand *hands = calloc((size_t)s->hands + 1, sizeof *hands);
  Job j = {.scene = s, .map = map, .out = out, .distance = block};
  int ok = block && (hands || fail("sharpen: out of memory for %d hands", s->hands));
  j.owned = (uint8_t *)(block + n), j.mine = j.owned + n;
  if (ok) memset(block, 0, bytes);
  memset(out, 0, (size_t)(s->height * s->width * (s->hands + 1)) * sizeof *out);
  for (int k = 0; ok && k < s->hands; k++) {
    Hand *h = hands + k;
    ok = know(s, k, h) && place(&j, h);
    for (long y = h->box.y0; ok && y < h->box.y1; y++)
      for (long i = y * s->content_width + h->box.x0; i < y * s->content_width + h->box.x1; i++)
        j.owned[i] |= j.mine[i];
  }
  for (int k = 0; ok && k < s->hands; k++) {
    j.k = k;
    ok = place(&j, hands + k);
    j.ground = ok ? ground_level(&j) : 0;
    ok = ok && parallel(j.hand->box.y1 - j.hand->box.y0, weigh_row, &j);
  }
  if (ok) rest(s, out);
  for (int k = 0; hands && k < s->hands; k++) forget(hands + k);
  free(hands);
  memory_give(block, bytes);
  return ok;
}
