/* Masks of hands and forearms, hand by hand: learn colours where the landmarks say hand, wrist and
 * surroundings, weigh them against the place, smooth along edges, learn again from the result, keep what
 * hangs together with the hand. */
#include "core/error.h"
#include "core/memory.h"
#include "core/pool.h"
#include "motion/mixture.h"
#include "motion/person_parts.h"
#include "motion/smooth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  SIDE = 1 << 16,
  ROUNDS = 2,
  ROWS = 16, /* of a chunk */
};

/* A hand's surroundings, cut out of the image: everything below is h x w of this window. */
typedef struct Window {
  const uint8_t *image;
  long stride, x0, y0, h, w;
  Shape shape;
  float *colours;    /* h x w x 3 */
  float *hand, *arm; /* log odds of the place */
  float *q, *trust, *p, *work;
  float *weights;
  Mixture skin, sleeve, rest;
  int has_sleeve;
} Window;

static const float never = -12;   /* log odds of a place where no hand can be */
static const float border = 0.5f; /* and on the outline of the thickened hand */
static const float limit = 5;     /* of what a colour says, in log odds */
static const float smoothness = 5;

static float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

/* Log odds of the place, hand: by the distance from the thickened skeleton. A tenth of the palm is what
 * landmarks are off by. */
static float hand_prior(float d) {
  return d < 0 ? border + fminf(1.5f, -20 * d) : fmaxf(border - 12 * d, never);
}

/* Forearm: a stripe from the wrist that gets wider and less certain; soft at the sides, since the hand may be
 * bent. */
static float arm_prior(float along, float side) {
  if (along < -0.3f) return never;
  const float t = fmaxf(along, 0), beside = fmaxf(side - 0.36f - 0.1f * fminf(t, 2), 0);
  return fmaxf(0.3f - 0.3f * t - 4 * beside / (0.2f + 0.4f * t) + 5 * fminf(0, along), never);
}

static int place_chunk(void *arg, long chunk) {
  Window *m = arg;
  const long last = (chunk + 1) * ROWS < m->h ? (chunk + 1) * ROWS : m->h;
  for (long y = chunk * ROWS; y < last; y++)
    for (long x = 0; x < m->w; x++) {
      const float px = (float)(x + m->x0), py = (float)(y + m->y0);
      const long i = y * m->w + x;
      for (int c = 0; c < 3; c++)
        m->colours[3 * i + c] = m->image[3 * ((y + m->y0) * m->stride + x + m->x0) + c];
      const float d = shape_hand(&m->shape, px, py);
      m->hand[i] = hand_prior(d);
      m->arm[i] = never;
      m->q[i] = 0;
      /* Where to learn from at first: 1 hand, 2 wrist, 3 surroundings. */
      float along = -1, side = 9;
      if (m->shape.forearm) {
        shape_arm(&m->shape, px, py, &along, &side);
        m->arm[i] = arm_prior(along, side);
      }
      if (d < -0.02f)
        m->q[i] = 1;
      else if (along > 0.1f && along < 0.9f && side < 0.25f)
        m->q[i] = 2;
      else if (d > 0.35f && d < 2.5f && m->arm[i] < -2.5f)
        m->q[i] = 3;
    }
  return 1;
}

static int score_chunk(void *arg, long chunk) {
  Window *m = arg;
  const long last = (chunk + 1) * ROWS < m->h ? (chunk + 1) * ROWS : m->h;
  for (long i = chunk * ROWS * m->w; i < last * m->w; i++) {
    if (m->hand[i] <= never && m->arm[i] <= never) {
      m->q[i] = 0;
      m->trust[i] = 1;
      continue;
    }
    const float *c = m->colours + 3 * i, rest = mixture_log(&m->rest, c),
                skin = clamp(mixture_log(&m->skin, c) - rest, -limit, limit);
    float odds = m->hand[i] + skin, arm = skin;
    if (m->has_sleeve) arm = fmaxf(arm, clamp(mixture_log(&m->sleeve, c) - rest, -limit, limit));
    odds = fmaxf(odds, m->arm[i] + arm);
    m->q[i] = 1 / (1 + expf(-odds));
    m->trust[i] = 0.05f + fabsf(2 * m->q[i] - 1);
  }
  return 1;
}

/* Fits a mixture to the pixels by their weights, unless there are too few: then it stays what it was. */
static int fit(Window *m, Mixture *mixture, int k) {
  return mixture_fit(mixture, m->colours, m->weights, m->h * m->w, k);
}

/* First guess of the mixtures, from the marks of place_chunk; 0 when hand and surroundings cannot be told
 * apart. */
static int learn_places(Window *m) {
  Mixture *mixture[] = {&m->skin, &m->sleeve, &m->rest};
  static const int components[] = {3, 2, 5};
  int known[3];
  for (int k = 0; k < 3; k++) {
    for (long i = 0; i < m->h * m->w; i++) m->weights[i] = m->q[i] == (float)(k + 1);
    known[k] = fit(m, mixture[k], components[k]);
  }
  m->has_sleeve = known[1];
  return known[0] && known[2];
}

/* Better mixtures from the mask found with the first ones. */
static void learn_mask(Window *m) {
  const long n = m->h * m->w;
  for (long i = 0; i < n; i++) m->weights[i] = m->p[i] > 0.5f && m->hand[i] > -2 ? m->p[i] : 0;
  fit(m, &m->skin, 3);
  for (long i = 0; i < n; i++) m->weights[i] = m->p[i] > 0.5f && m->hand[i] <= -2 ? m->p[i] : 0;
  m->has_sleeve = fit(m, &m->sleeve, 3);
  for (long i = 0; i < n; i++) m->weights[i] = m->p[i] < 0.5f ? 1 - m->p[i] : 0;
  fit(m, &m->rest, 5);
}

/* Adds to the mask what is over one half and hangs together with a pixel inside the skeleton. */
static int add_connected(Window *m, long stride, uint8_t *mask) {
  const long n = m->h * m->w;
  long *queue = malloc((size_t)n * sizeof *queue), head = 0, tail = 0;
  if (!queue) return fail("out of memory: %ld pixels around a hand", n);
  float *seen = m->work;
  for (long i = 0; i < n; i++) {
    seen[i] = m->p[i] > 0.5f && m->hand[i] > border + 0.3f;
    if (seen[i] > 0) queue[tail++] = i;
  }
  while (head < tail) {
    const long i = queue[head++], x = i % m->w, y = i / m->w;
    const long next[4] = {x ? i - 1 : i, x + 1 < m->w ? i + 1 : i, y ? i - m->w : i,
                          y + 1 < m->h ? i + m->w : i};
    mask[(y + m->y0) * stride + x + m->x0] = 255;
    for (int k = 0; k < 4; k++)
      if (!(seen[next[k]] > 0) && m->p[next[k]] > 0.5f) {
        seen[next[k]] = 1;
        queue[tail++] = next[k];
      }
  }
  free(queue);
  return 1;
}

/* The window: the hand with its surroundings, and as much of the forearm as may be seen. */
static void cut_window(Window *m, long h, long w) {
  const Shape *s = &m->shape;
  float box[4], reach = 2.0f * s->size;
  memcpy(box, s->box, sizeof box);
  for (int c = 0; s->forearm && c < 2; c++) {
    float end = s->wrist[c] + 4.5f * s->size * s->along[c];
    box[c] = fminf(box[c], end);
    box[2 + c] = fmaxf(box[2 + c], end);
  }
  m->x0 = (long)clamp(box[0] - reach, 0, (float)w);
  m->y0 = (long)clamp(box[1] - reach, 0, (float)h);
  m->w = (long)clamp(box[2] + reach + 1, 0, (float)w) - m->x0;
  m->h = (long)clamp(box[3] + reach + 1, 0, (float)h) - m->y0;
}

static int mask_hand(Window *m, uint8_t *mask) {
  const long chunks = (m->h + ROWS - 1) / ROWS;
  if (!parallel(chunks, place_chunk, m)) return 0;
  for (int round = 0; round < ROUNDS; round++) {
    if (round)
      learn_mask(m);
    else if (!learn_places(m))
      return 1; /* next to nothing of the hand in the image */
    if (!parallel(chunks, score_chunk, m)) return 0;
    if (!smooth_mask(m->colours, m->h, m->w, m->q, m->trust, smoothness, m->p, m->work)) return 0;
  }
  return add_connected(m, m->stride, mask);
}

int person_mask(const uint8_t *image, long h, long w, const PersonHand *hands, int count, uint8_t *mask) {
  if (h < 1 || w < 1 || h > SIDE || w > SIDE)
    return fail("person: expected an image of 1x1 to %dx%d, found %ldx%ld", SIDE, SIDE, h, w);
  memset(mask, 0, (size_t)h * (size_t)w);
  int ok = 1;
  for (int k = 0; ok && k < count; k++) {
    if (hands[k].count < 1) return fail("person: expected hands with points, found none in hand %d", k + 1);
    float(*outline)[2] = malloc((size_t)(hands[k].count + 2) * sizeof *outline);
    if (!outline) return fail("out of memory: %d points of a hand", hands[k].count);
    Window m = {.image = image, .stride = w};
    ok = shape_of(&m.shape, &hands[k], outline);
    if (ok) cut_window(&m, h, w);
    if (ok && m.h > 0 && m.w > 0) {
      const long n = m.h * m.w;
      const size_t bytes = 12 * (size_t)n * sizeof(float);
      float *block = memory_take(bytes);
      m.colours = block;
      float **planes[] = {&m.hand, &m.arm, &m.q, &m.trust, &m.p, &m.weights, &m.work};
      for (int i = 0; block && i < 7; i++) *planes[i] = block + (3 + i) * n;
      ok = block && mask_hand(&m, mask);
      memory_give(block, bytes);
    }
    free(outline);
  }
  return ok;
}
