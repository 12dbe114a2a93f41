/* Rounds of learning, scoring and cutting in the window around the mask. */
#include "motion/refine.h"

#include "core/memory.h"
#include "motion/cut.h"
#include "motion/mixture.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 2, COMPONENTS = 4 };

/* Chosen on annotated real clips (experiments/refine.lua). */
static const float sure = 1;      /* log odds to learn the first colours from */
static const float limit = 3;     /* of what a colour says */
static const float most = 6;      /* of what the mask says */
static const float around = 0.5f; /* of the mask's size: how far is looked */
static const float smoothness = 0.25f,
                   smoothest = 40; /* of a cut, for a pixel of the mask's size: see sharpen.c */

/* The window: planes of h × w pixels at (x0, y0) of the picture. */
typedef struct Window {
  long x0, y0, h, w;
  float size; /* of the mask: the root of its area */
  float *block, *colours, *odds, *weights, *scores, *mask;
  size_t bytes;
} Window;

static int is_in(const uint8_t *domain, long i) { return !domain || domain[i]; }

/* The box of what is in, with a margin. 1 also when there is nothing: block is NULL then; 0 for short memory. */
static int open_window(Window *v, long h, long w, const float *odds, const uint8_t *domain) {
  long x0 = w, y0 = h, x1 = 0, y1 = 0, count = 0;
  for (long y = 0; y < h; y++)
    for (long x = 0; x < w; x++)
      if (odds[y * w + x] > 0 && is_in(domain, y * w + x)) {
        x0 = x < x0 ? x : x0, x1 = x + 1 > x1 ? x + 1 : x1;
        y0 = y < y0 ? y : y0, y1 = y + 1;
        count++;
      }
  *v = (Window){.size = sqrtf((float)count)};
  if (!count) return 1;
  const long margin = 4 + (long)(around * v->size);
  x0 = x0 > margin ? x0 - margin : 0, y0 = y0 > margin ? y0 - margin : 0;
  x1 = x1 + margin < w ? x1 + margin : w, y1 = y1 + margin < h ? y1 + margin : h;
  v->x0 = x0, v->y0 = y0, v->w = x1 - x0, v->h = y1 - y0;
  const long n = v->h * v->w;
  v->bytes = (size_t)n * 7 * sizeof(float);
  if (!(v->block = memory_take(v->bytes))) return 0;
  v->colours = v->block;
  float **planes[] = {&v->odds, &v->weights, &v->scores, &v->mask};
  for (int i = 0; i < 4; i++) *planes[i] = v->block + (3 + i) * n;
  return 1;
}

/* Odds of what lies outside the domain are infinite: it is never in. */
static void look(const Window *v, const uint8_t *image, long w, const float *odds, const uint8_t *domain) {
  for (long y = 0; y < v->h; y++)
    for (long x = 0; x < v->w; x++) {
      const long i = y * v->w + x, at = (y + v->y0) * w + x + v->x0;
      for (int c = 0; c < 3; c++) v->colours[3 * i + c] = image[3 * at + c];
      v->odds[i] = is_in(domain, at) ? fmaxf(-most, fminf(most, odds[at])) : -INFINITY;
      v->mask[i] = v->odds[i] > 0;
    }
}

/* Learns the colours of what is in or out, in the first round of what is surely so. */
static int learn(const Window *v, int in, int round, Mixture *m) {
  const long n = v->h * v->w;
  for (long i = 0; i < n; i++) {
    const float side = in ? 1 : -1;
    const int yes = round ? (v->mask[i] > 0.5f) == in : side * v->odds[i] > sure;
    v->weights[i] = yes && isfinite(v->odds[i]);
  }
  return mixture_fit(m, v->colours, v->weights, n, COMPONENTS);
}

static int refine(Window *v) {
  const long n = v->h * v->w;
  Mixture in, out;
  for (int round = 0; round < ROUNDS; round++) {
    if (!learn(v, 1, round, &in) || !learn(v, 0, round, &out)) return 1;
    for (long i = 0; i < n; i++) {
      const float *c = v->colours + 3 * i, says = mixture_log(&in, c) - mixture_log(&out, c);
      v->scores[i] = isfinite(v->odds[i]) ? fmaxf(-limit, fminf(limit, says)) + v->odds[i] : -50;
    }
    if (!cut_mask(v->colours, v->h, v->w, v->scores, fminf(smoothness * v->size, smoothest), v->mask))
      return 0;
  }
  return 1;
}

int refine_mask(const uint8_t *image, long h, long w, const float *odds, const uint8_t *domain, float *mask) {
  Window v;
  memset(mask, 0, (size_t)(h * w) * sizeof *mask);
  if (!open_window(&v, h, w, odds, domain)) return 0;
  if (!v.block) return 1;
  look(&v, image, w, odds, domain);
  const int ok = refine(&v);
  for (long y = 0; ok && y < v.h; y++)
    memcpy(mask + (y + v.y0) * w + v.x0, v.mask + y * v.w, (size_t)v.w * sizeof *mask);
  memory_give(v.block, v.bytes);
  return ok;
}
