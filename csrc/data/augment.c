/* The sampling behind augment.h: inverse mapping, bilinear for image and maps, nearest for the person mask.
 * Runs on a loader's thread and starts no others. */
#include "data/augment.h"

#include "core/bilinear.h"
#include "core/error.h"
#include "core/pool.h"

#include <math.h>
#include <string.h>

/* Output pixel (x, y) shows source (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]). */
typedef struct Affine {
  double m[6];
} Affine;

static Affine draw_geometry(const Augment *a, Random *r, double w, double h) {
  /* every number is drawn, used or not, so that options do not shift each other's draws */
  double flip = random_uniform(r) < a->flip ? -1 : 1;
  double scale = exp(random_range(r, log(a->scale[0]), log(a->scale[1])));
  double angle = random_range(r, -a->rotate, a->rotate) * (3.14159265358979 / 180);
  double dx = random_range(r, -a->shift, a->shift) * w, dy = random_range(r, -a->shift, a->shift) * h;
  double c = cos(angle) / scale, s = sin(angle) / scale, cx = (w - 1) / 2, cy = (h - 1) / 2;
  /* source = centre + flip · rotate/scale · (output - centre - shift) */
  Affine g = {{flip * c, flip * s, 0, -s, c, 0}};
  g.m[2] = cx - g.m[0] * (cx + dx) - g.m[1] * (cy + dy);
  g.m[5] = cy - g.m[3] * (cx + dx) - g.m[4] * (cy + dy);
  return g;
}

static void to_output(const Affine *g, double x, double y, double *u, double *v) {
  double det = g->m[0] * g->m[4] - g->m[1] * g->m[3], a = x - g->m[2], b = y - g->m[5];
  *u = (g->m[4] * a - g->m[1] * b) / det;
  *v = (g->m[0] * b - g->m[3] * a) / det;
}

/* The hands whose point stays inside the content: their indices; returns how many. */
static long keep_hands(const Sample *s, const Affine *g, long *index, float *points) {
  const float *p = tensor_data(s->points);
  long kept = 0;
  for (long k = 0; k < s->points->shape[0]; k++) {
    double u, v;
    to_output(g, p[2 * k], p[2 * k + 1], &u, &v);
    if (!(u >= -0.5 && v >= -0.5 && u < s->content_w - 0.5 && v < s->content_h - 0.5)) continue;
    points[2 * kept] = (float)u;
    points[2 * kept + 1] = (float)v;
    index[kept++] = k;
  }
  return kept;
}

/* The sample of the content at (x, y); 0 outside of it. */
static int sample_at(const Sample *s, double x, double y, Bilinear *b) {
  if (!(x >= -0.5 && y >= -0.5 && x < s->content_w - 0.5 && y < s->content_h - 0.5)) return 0;
  double left = floor(x), above = floor(y);
  *b = bilinear_at((long)left, (long)above, (float)(x - left), (float)(y - above), s->content_w, s->content_h,
                   s->image->shape[1]);
  return 1;
}

static int32_t label_of(float largest, int person, const Labelling *l) {
  if (person) return LABEL_PERSON;
  if (fabs(largest - l->tau) <= l->band && l->band > 0) return LABEL_IGNORED;
  return largest > l->tau ? LABEL_OBJECT : LABEL_BACKGROUND;
}

static void warp(const Sample *s, const Affine *g, const Labelling *l, const long *index, float *image,
                 Slot *out) {
  long h = s->image->shape[0], w = s->image->shape[1], hands = s->maps->shape[2];
  const uint8_t *rgb = tensor_data(s->image), *maps = tensor_data(s->maps), *person = tensor_data(s->person);
  for (long y = 0; y < h; y++)
    for (long x = 0; x < w; x++) {
      long p = y * w + x;
      Bilinear b;
      double sx = g->m[0] * x + g->m[1] * y + g->m[2], sy = g->m[3] * x + g->m[4] * y + g->m[5];
      int inside = x < s->content_w && y < s->content_h && sample_at(s, sx, sy, &b);
      if (!inside) {
        image[3 * p] = image[3 * p + 1] = image[3 * p + 2] = 0;
        out->label[p] = LABEL_IGNORED;
        for (long k = 0; k < out->kept; k++) out->maps[k * h * w + p] = MAP_IGNORED;
        continue;
      }
      for (int c = 0; c < 3; c++) image[3 * p + c] = bilinear_bytes(&b, rgb + c, 3);
      for (long k = 0; k < out->kept; k++)
        out->maps[k * h * w + p] = bilinear_bytes(&b, maps + index[k], hands) * (1.0f / 255);
      float largest = 0; /* over all hands, dropped ones too: what they hold is an object still */
      for (long k = 0; k < hands; k++)
        largest = fmaxf(largest, bilinear_bytes(&b, maps + k, hands) * (1.0f / 255));
      out->label[p] = label_of(largest, bilinear_bytes(&b, person, 1) >= 127.5f, l);
    }
}

/* ---- the image alone ---- */

static void colour(float *image, long n, double amount, Random *r) {
  float bright = (float)random_range(r, 1 - amount, 1 + amount),
        contrast = (float)random_range(r, 1 - amount, 1 + amount);
  float saturation = (float)random_range(r, 1 - amount, 1 + amount);
  for (long i = 0; i < n; i++) {
    float *p = image + 3 * i, grey = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
    for (int c = 0; c < 3; c++) {
      float v = grey + saturation * (p[c] - grey);
      p[c] = (127.5f + contrast * (v - 127.5f)) * bright;
    }
  }
}

/* Binomial 1 2 1 along rows, then columns; borders repeat. */
static void blur(float *image, float *other, long h, long w) {
  for (long y = 0; y < h; y++)
    for (long x = 0; x < w; x++)
      for (int c = 0; c < 3; c++) {
        const float *row = image + 3 * y * w + c;
        other[3 * (y * w + x) + c] =
            0.25f * (row[3 * (x > 0 ? x - 1 : 0)] + 2 * row[3 * x] + row[3 * (x + 1 < w ? x + 1 : x)]);
      }
  for (long y = 0; y < h; y++) {
    const float *up = other + 3 * (y > 0 ? y - 1 : 0) * w, *at = other + 3 * y * w;
    const float *down = other + 3 * (y + 1 < h ? y + 1 : y) * w;
    for (long i = 0; i < 3 * w; i++) image[3 * y * w + i] = 0.25f * (up[i] + 2 * at[i] + down[i]);
  }
}

/* Nearly normal: the sum of four uniform bytes of one draw, standard deviation 147.8. */
static float cheap_normal(Random *r) {
  uint32_t u = random_u32(r);
  return ((float)((u & 255) + (u >> 8 & 255) + (u >> 16 & 255) + (u >> 24)) - 510) * (1 / 147.8f);
}

static void finish(const float *image, long n, float sigma, Random *r, uint8_t *out) {
  for (long i = 0; i < n; i++)
    for (int c = 0; c < 3; c++) {
      float v = image[3 * i + c];
      if (sigma > 0) v += sigma * cheap_normal(r);
      out[3 * i + c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5f);
    }
}

int augment_sample(const Sample *s, const Augment *a, const Labelling *l, Random *r, Slot *out) {
  enum { HANDS = 64 };
  static const Affine identity = {{1, 0, 0, 0, 1, 0}};
  long h = s->image->shape[0], w = s->image->shape[1], n = h * w, index[HANDS];
  if (s->points->shape[0] > HANDS)
    return fail("sample: expected at most %d hands, found %ld", HANDS, s->points->shape[0]);
  float *image = scratch(0, (size_t)n * 3 * sizeof(float)),
        *other = scratch(1, (size_t)n * 3 * sizeof(float));
  if (!image || !other) return 0;
  Affine g = identity;
  if (a->on) g = draw_geometry(a, r, s->content_w, s->content_h);
  out->kept = keep_hands(s, &g, index, out->points);
  if (!out->kept) {
    g = identity;
    out->kept = keep_hands(s, &g, index, out->points);
  }
  warp(s, &g, l, index, image, out);
  float sigma = 0;
  if (a->on) {
    colour(image, n, a->colour, r);
    if (random_uniform(r) < a->blur) blur(image, other, h, w);
    sigma = (float)(255 * a->noise * random_uniform(r));
  }
  finish(image, n, sigma, r, out->image);
  return 1;
}
