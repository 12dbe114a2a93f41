/* The window around the mask, at half its size first: there colours are learnt and most of the outline is found; at its
 * own size only pixels beside that outline are still open. */
#include "motion/refine.h"

#include "core/memory.h"
#include "motion/cut.h"
#include "motion/mixture.h"

#include <math.h>
#include <string.h>

enum { COMPONENTS = 4, HALF = 2, BAND = 2 /* pixels of half size to either side of the outline */ };

/* Chosen on annotated real clips. */
static const float sure = 1;      /* log odds to learn the first colours from */
static const float limit = 3;     /* of what a colour says */
static const float most = 6;      /* of what the mask says */
static const float around = 0.5f; /* of the mask's size: how far is looked */
static const float smoothness = 0.25f,
                   smoothest = 40; /* of a cut, for a pixel of the mask's size: see sharpen.c */

/* Pixels of the window at one size. Odds of what lies outside the domain are infinite: it is never in. */
typedef struct Level {
  long h, w;
  float *colours, *odds, *scores, *mask;
} Level;

typedef struct Window {
  long x0, y0; /* in the picture */
  float size;  /* of the mask: the root of its area */
  Level full, half;
  float *block, *weights; /* of the half */
  size_t bytes;
} Window;

static int is_in(const uint8_t *domain, long i) { return !domain || domain[i]; }

static float *place(Level *l, long h, long w, float *at) {
  const long n = h * w;
  *l = (Level){h, w, at, at + 3 * n, at + 4 * n, at + 5 * n};
  return at + 6 * n;
}

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
  v->x0 = x0, v->y0 = y0, h = y1 - y0, w = x1 - x0;
  const long h2 = (h + 1) / HALF, w2 = (w + 1) / HALF;
  v->bytes = (size_t)(6 * h * w + 7 * h2 * w2) * sizeof(float);
  if (!(v->block = memory_take(v->bytes))) return 0;
  v->weights = place(&v->half, h2, w2, place(&v->full, h, w, v->block));
  return 1;
}

static void look(const Window *v, const uint8_t *image, long w, const float *odds, const uint8_t *domain) {
  const Level *l = &v->full;
  for (long y = 0; y < l->h; y++)
    for (long x = 0; x < l->w; x++) {
      const long i = y * l->w + x, at = (y + v->y0) * w + x + v->x0;
      for (int c = 0; c < 3; c++) l->colours[3 * i + c] = image[3 * at + c];
      l->odds[i] = is_in(domain, at) ? fmaxf(-most, fminf(most, odds[at])) : -INFINITY;
      l->mask[i] = l->odds[i] > 0;
    }
}

/* Means of two by two pixels; the last ones twice where the size is odd. Odds: of those of the domain. */
static void halve(const Level *from, const Level *to) {
  for (long y = 0; y < to->h; y++)
    for (long x = 0; x < to->w; x++) {
      float colour[3] = {0}, odds = 0, count = 0;
      for (long k = 0; k < HALF * HALF; k++) {
        const long v = HALF * y + k / HALF, u = HALF * x + k % HALF;
        const long i = (v < from->h ? v : from->h - 1) * from->w + (u < from->w ? u : from->w - 1);
        for (int c = 0; c < 3; c++) colour[c] += from->colours[3 * i + c];
        if (isfinite(from->odds[i])) odds += from->odds[i], count++;
      }
      const long i = y * to->w + x;
      for (int c = 0; c < 3; c++) to->colours[3 * i + c] = colour[c] / (HALF * HALF);
      to->odds[i] = count > 0 ? odds / count : -INFINITY;
    }
}

/* The mask of the half, at full size. */
static void enlarge(const Level *half, const Level *full) {
  for (long y = 0; y < full->h; y++)
    for (long x = 0; x < full->w; x++) {
      const long i = y * full->w + x, at = y / HALF * half->w + x / HALF;
      full->mask[i] = half->mask[at];
    }
}

/* Learns the colours of what is in or out, at first of what is surely so. */
static int learn(const Window *v, int in, int first, Mixture *m) {
  const Level *l = &v->half;
  const long n = l->h * l->w;
  for (long i = 0; i < n; i++) {
    const float side = in ? 1 : -1;
    const int yes = first ? side * l->odds[i] > sure : (l->mask[i] > 0.5f) == in;
    v->weights[i] = yes && isfinite(l->odds[i]);
  }
  return mixture_fit(m, l->colours, v->weights, n, COMPONENTS);
}

static float score(const Level *l, long i, const Mixture *in, const Mixture *out) {
  if (!isfinite(l->odds[i])) return -INFINITY;
  const float *c = l->colours + 3 * i, says = mixture_log(in, c) - mixture_log(out, c);
  return fmaxf(-limit, fminf(limit, says)) + l->odds[i];
}

/* Whether the mask is one and the same within BAND pixels. */
static int is_flat(const Level *l, long y, long x) {
  const long top = y > BAND ? y - BAND : 0, bottom = y + BAND < l->h ? y + BAND : l->h - 1;
  const long left = x > BAND ? x - BAND : 0, right = x + BAND < l->w ? x + BAND : l->w - 1;
  const float mine = l->mask[y * l->w + x];
  for (long v = top; v <= bottom; v++)
    for (long u = left; u <= right; u++)
      if (l->mask[v * l->w + u] != mine) return 0;
  return 1;
}

/* Scores at full size: infinite, as the half is, away from its outline. */
static void score_band(const Window *v, const Mixture *in, const Mixture *out) {
  const Level *half = &v->half, *full = &v->full;
  for (long y = 0; y < half->h; y++)
    for (long x = 0; x < half->w; x++) {
      const int flat = is_flat(half, y, x);
      const float fixed = half->mask[y * half->w + x] > 0.5f ? INFINITY : -INFINITY;
      for (long k = 0; k < HALF * HALF; k++) {
        const long b = HALF * y + k / HALF, a = HALF * x + k % HALF, i = b * full->w + a;
        if (b < full->h && a < full->w)
          full->scores[i] = flat && isfinite(full->odds[i]) ? fixed : score(full, i, in, out);
      }
    }
}

static int refine(const Window *v) {
  const Level *half = &v->half, *full = &v->full;
  const float smooth = fminf(smoothness * v->size, smoothest);
  Mixture in, out;
  halve(full, half);
  if (!learn(v, 1, 1, &in) || !learn(v, 0, 1, &out)) return 1;
  for (long i = 0; i < half->h * half->w; i++) half->scores[i] = score(half, i, &in, &out);
  if (!cut_mask(half->colours, half->h, half->w, half->scores, smooth / HALF, half->mask)) return 0;
  enlarge(half, full);
  if (!learn(v, 1, 0, &in) || !learn(v, 0, 0, &out)) return 1;
  score_band(v, &in, &out);
  return cut_mask(full->colours, full->h, full->w, full->scores, smooth, full->mask);
}

int refine_mask(const uint8_t *image, long h, long w, const float *odds, const uint8_t *domain, float *mask) {
  Window v;
  memset(mask, 0, (size_t)(h * w) * sizeof *mask);
  if (!open_window(&v, h, w, odds, domain)) return 0;
  if (!v.block) return 1;
  look(&v, image, w, odds, domain);
  const int ok = refine(&v);
  for (long y = 0; ok && y < v.full.h; y++)
    memcpy(mask + (y + v.y0) * w + v.x0, v.full.mask + y * v.full.w, (size_t)v.full.w * sizeof *mask);
  memory_give(v.block, v.bytes);
  return ok;
}
