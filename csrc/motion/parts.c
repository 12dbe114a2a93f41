/* Hand and object of a map: a cut within the map, twice, the second time with the colours that the first found. */
#include "motion/parts.h"

#include "core/error.h"
#include "core/memory.h"
#include "core/pool.h"
#include "motion/cut.h"
#include "motion/mixture.h"
#include "motion/person_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2 };

static const float in = 0.4f, limit = 4;
static const float smoothness = 0.15f; /* for a pixel of palm length: see sharpen.c */
static const float flesh = -0.03f, skin = 0.35f,
                   beside = 0.3f; /* palm lengths from the outline: surely hand, at
                                                                   most hand; surely none */
static const float empty = 0.1f;  /* of the hand */

/* What is seen of a hand: planes of h x w pixels at (x0, y0) of the scene. */
typedef struct View {
  const Scene *scene;
  float size;
  long x0, y0, h, w;
  float *block, *colours, *away, *along, *side, *odds, *weights, *person;
  uint8_t *mine;
  size_t bytes;
} View;

/* The box of what the map has of hand k. */
static int open_view(View *v, const Scene *s, const float *map, int k) {
  long x0 = s->content_width, y0 = s->content_height, x1 = 0, y1 = 0;
  for (long y = 0; y < s->content_height; y++)
    for (long x = 0; x < s->content_width; x++)
      if (map[(y * s->width + x) * (s->hands + 1) + k] > in) {
        x0 = x < x0 ? x : x0, x1 = x + 1 > x1 ? x + 1 : x1;
        y0 = y < y0 ? y : y0, y1 = y + 1;
      }
  *v = (View){.scene = s, .x0 = x0, .y0 = y0, .h = y1 > y0 ? y1 - y0 : 0, .w = x1 > x0 ? x1 - x0 : 0};
  const long n = v->h * v->w;
  v->bytes = (size_t)n * (9 * sizeof(float) + 1);
  if (!n) return 1;
  if (!(v->block = memory_take(v->bytes))) return 0;
  float **planes[] = {&v->away, &v->along, &v->side, &v->odds, &v->weights, &v->person};
  v->colours = v->block;
  for (int i = 0; i < 6; i++) *planes[i] = v->block + (3 + i) * n;
  v->mine = (uint8_t *)(v->block + 9 * n);
  return 1;
}

static void look(View *v, const Shape *shape, const uint8_t *image, const float *map, int k) {
  const Scene *s = v->scene;
  for (long y = 0; y < v->h; y++)
    for (long x = 0; x < v->w; x++) {
      const long i = y * v->w + x, at = (y + v->y0) * s->width + x + v->x0;
      for (int c = 0; c < 3; c++) v->colours[3 * i + c] = image[3 * at + c];
      v->mine[i] = map[at * (s->hands + 1) + k] > in;
      v->away[i] = shape_hand(shape, (float)(x + v->x0), (float)(y + v->y0));
      v->along[i] = -1, v->side[i] = 9;
      if (shape->forearm) shape_arm(shape, (float)(x + v->x0), (float)(y + v->y0), v->along + i, v->side + i);
    }
}

/* Behind the wrist, where the forearm is: a stripe that gets wider. */
static int on_arm(const View *v, long i) {
  return v->along[i] > 0.05f && v->side[i] < 0.5f + 0.15f * v->along[i] && v->along[i] < 6;
}

/* Log odds of the place: hand or forearm against object. */
static float place(const View *v, long i) {
  const float d = v->away[i], hand = d < 0 ? 1 - 20 * d : 1 - 9 * d;
  return fmaxf(-6, fminf(6, on_arm(v, i) ? fmaxf(hand, 2) : hand));
}

/* Learns what hand and object look like; 0: there is no object to learn from. */
static int learn(View *v, int round, Mixture *hand, Mixture *object) {
  const long n = v->h * v->w;
  double person = 0, held = 0;
  for (long i = 0; i < n; i++) {
    const int yes = round ? v->person[i] > 0.5f : v->away[i] < flesh || (on_arm(v, i) && v->along[i] < 1);
    person += v->weights[i] = v->mine[i] && yes;
  }
  if (!mixture_fit(hand, v->colours, v->weights, n, 4)) return 0;
  for (long i = 0; i < n; i++) {
    const int yes = round ? v->person[i] < 0.5f : v->away[i] > beside && !on_arm(v, i);
    held += v->weights[i] = v->mine[i] && yes;
  }
  return held > 0.02 * person && mixture_fit(object, v->colours, v->weights, n, 4);
}

/* Which of the map's pixels are the person's. */
static int part(View *v) {
  const long n = v->h * v->w;
  Mixture hand, object;
  for (long i = 0; i < n; i++) v->person[i] = v->away[i] < skin || on_arm(v, i);
  for (int round = 0; round < ROUNDS; round++) {
    if (!learn(v, round, &hand, &object)) return 1;
    for (long i = 0; i < n; i++) {
      const float *c = v->colours + 3 * i, says = mixture_log(&hand, c) - mixture_log(&object, c);
      v->odds[i] = v->mine[i] ? fmaxf(-limit, fminf(limit, says)) + place(v, i) : 0;
    }
    if (!cut_mask(v->colours, v->h, v->w, v->odds, smoothness * v->size, v->person)) return 0;
  }
  return 1;
}

static void put(const View *v, uint8_t *hand, uint8_t *object) {
  const long n = v->h * v->w;
  long held = 0, mine = 0;
  for (long i = 0; i < n; i++) {
    const int person = v->person[i] > 0.5f;
    held += v->mine[i] && !person;
    mine += v->mine[i] && person && !on_arm(v, i);
  }
  const int holds = (float)held >= empty * (float)mine;
  for (long y = 0; y < v->h; y++)
    for (long x = 0; x < v->w; x++) {
      const long i = y * v->w + x, to = (y + v->y0) * v->scene->width + x + v->x0;
      const int person = v->person[i] > 0.5f;
      hand[to] = v->mine[i] && person && !on_arm(v, i) && v->away[i] < 2 * skin;
      object[to] = holds && v->mine[i] && !person;
    }
}

static int split_hand(const Scene *s, const uint8_t *image, const float *map, int k, uint8_t *hand,
                      uint8_t *object) {
  const long n = s->vertex_count[k];
  float *points = malloc((size_t)n * 2 * sizeof *points);
  float(*outline)[2] = malloc((size_t)(n + 2) * sizeof *outline);
  Shape shape;
  View v = {0};
  int ok = points && outline ? 1 : fail("parts: out of memory for %ld points of a hand", n);
  for (long i = 0; ok && i < 2 * n; i++)
    points[i] = (float)fmax(-1e6 + 1, fmin(1e6 - 1, s->vertices[k][i])); /* what a shape takes */
  ok = ok && shape_of(&shape, &(PersonHand){points, (int)n}, outline) && open_view(&v, s, map, k);
  if (ok && v.block) {
    v.size = fminf(shape.size, 400);
    look(&v, &shape, image, map, k);
    ok = part(&v);
    if (ok) put(&v, hand, object);
  }
  memory_give(v.block, v.bytes);
  free(points), free(outline);
  return ok;
}

typedef struct Job {
  const Scene *scene;
  const uint8_t *image;
  const float *map;
  uint8_t *hand, *object;
} Job;

static int split_one(void *arg, long k) {
  const Job *j = arg;
  const long at = k * j->scene->height * j->scene->width;
  return split_hand(j->scene, j->image, j->map, (int)k, j->hand + at, j->object + at);
}

int parts_split(const Scene *s, const uint8_t *image, const float *map, uint8_t *hand, uint8_t *object) {
  const long n = s->height * s->width;
  memset(hand, 0, (size_t)(n * s->hands));
  memset(object, 0, (size_t)(n * s->hands));
  return parallel(s->hands, split_one, &(Job){s, image, map, hand, object});
}
