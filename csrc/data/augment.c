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

/* Turned, mirrored and enlarged, with the sample's (from_x, from_y) at (to_x, to_y). */
static Affine geometry(double flip, double angle, double scale, double from_x, double from_y, double to_x,
                       double to_y) {
  double c = cos(angle) / scale, s = sin(angle) / scale;
  Affine g = {{flip * c, flip * s, 0, -s, c, 0}};
  g.m[2] = from_x - g.m[0] * to_x - g.m[1] * to_y;
  g.m[5] = from_y - g.m[3] * to_x - g.m[4] * to_y;
  return g;
}

static Affine draw_geometry(const Augment *a, const Sample *sample, Random *r) {
  /* every number is drawn, used or not, so that options do not shift each other's draws */
  double w = (double)sample->content_w, h = (double)sample->content_h;
  double flip = random_uniform(r) < a->flip ? -1 : 1;
  double scale = exp(random_range(r, log(a->scale[0]), log(a->scale[1])));
  double angle = random_range(r, -a->rotate, a->rotate) * (3.14159265358979 / 180);
  double dx = random_range(r, -a->shift, a->shift) * w, dy = random_range(r, -a->shift, a->shift) * h;
  double cx = (w - 1) / 2, cy = (h - 1) / 2;
  const long hands = sample->points->shape[0];
  if (!(a->crop > 0) || !hands) return geometry(flip, angle, scale, cx, cy, cx + dx, cy + dy);
  const int crops = random_uniform(r) < a->crop;
  const long k = random_below(r, hands);
  const double zoom = exp(random_range(r, log(a->zoom[0]), log(a->zoom[1])));
  const double x = random_range(r, 0.25, 0.75) * w, y = random_range(r, 0.25, 0.75) * h;
  const float *p = (const float *)tensor_data(sample->points) + 2 * k;
  return crops ? geometry(flip, angle, zoom, p[0], p[1], x, y)
               : geometry(flip, angle, scale, cx, cy, cx + dx, cy + dy);
}

static void to_output(const Affine *g, double x, double y, double *u, double *v) {
  double det = g->m[0] * g->m[4] - g->m[1] * g->m[3], a = x - g->m[2], b = y - g->m[5];
  *u = (g->m[4] * a - g->m[1] * b) / det;
  *v = (g->m[0] * b - g->m[3] * a) / det;
}

/* How a sample lies in the picture that is made of it: its scale, and its content there. */
typedef struct Fit {
  double scale;
  long w, h;
} Fit;

static long scaled(long n, double scale, long most) {
  const long m = lround((double)n * scale);
  return m < 1 ? 1 : m > most ? most : m;
}

static Fit fit_of(const Sample *s, const Slot *out) {
  const double x = (double)out->w / (double)s->image->shape[1],
               y = (double)out->h / (double)s->image->shape[0];
  const double scale = x < y ? x : y;
  return (Fit){scale, scaled(s->content_w, scale, out->w), scaled(s->content_h, scale, out->h)};
}

/* The geometry of pixels of the sample, then the scale: pixel (x, y) of the picture is at ((x + ½) / scale - ½,
 * …) there. */
static Affine at_scale(const Affine *g, double scale) {
  const double k = 1 / scale, t = (k - 1) / 2;
  const double *m = g->m;
  return (Affine){
      {m[0] * k, m[1] * k, m[2] + (m[0] + m[1]) * t, m[3] * k, m[4] * k, m[5] + (m[3] + m[4]) * t}};
}

/* The hands whose point stays inside the content: their indices; returns how many. */
static long keep_hands(const Sample *s, const Affine *g, const Fit *fit, long stride, long *index,
                       float *points) {
  const float *p = tensor_data(s->points);
  const double middle = (double)(stride - 1) / 2;
  long kept = 0;
  for (long k = 0; k < s->points->shape[0]; k++) {
    double u, v;
    to_output(g, p[2 * k], p[2 * k + 1], &u, &v);
    if (!(u >= -0.5 && v >= -0.5 && u < (double)fit->w - 0.5 && v < (double)fit->h - 0.5)) continue;
    points[2 * kept] = (float)((u - middle) / (double)stride);
    points[2 * kept + 1] = (float)((v - middle) / (double)stride);
    index[kept++] = k;
  }
  return kept;
}

/* The sample of the content at what (x, y) of the picture shows; 0 outside of it. */
static int sample_at(const Sample *s, const Affine *g, const Fit *fit, double x, double y, Bilinear *b) {
  if (x > (double)fit->w - 0.5 || y > (double)fit->h - 0.5) return 0;
  double sx = g->m[0] * x + g->m[1] * y + g->m[2], sy = g->m[3] * x + g->m[4] * y + g->m[5];
  if (!(sx >= -0.5 && sy >= -0.5 && sx < s->content_w - 0.5 && sy < s->content_h - 0.5)) return 0;
  double left = floor(sx), above = floor(sy);
  *b = bilinear_at((long)left, (long)above, (float)(sx - left), (float)(sy - above), s->content_w,
                   s->content_h, s->image->shape[1]);
  return 1;
}

static int32_t label_of(float largest, int person, const Labelling *l) {
  if (person) return LABEL_PERSON;
  if (fabs(largest - l->tau) <= l->band && l->band > 0) return LABEL_IGNORED;
  return largest > l->tau ? LABEL_OBJECT : LABEL_BACKGROUND;
}

static void warp_image(const Sample *s, const Affine *g, const Fit *fit, const Slot *out, float *image) {
  const uint8_t *rgb = tensor_data(s->image);
  for (long y = 0; y < out->h; y++)
    for (long x = 0; x < out->w; x++, image += 3) {
      Bilinear b;
      const int inside = sample_at(s, g, fit, (double)x, (double)y, &b);
      for (int c = 0; c < 3; c++) image[c] = inside ? bilinear_bytes(&b, rgb + c, 3) : 0;
    }
}

static void warp_labels(const Sample *s, const Affine *g, const Fit *fit, const Labelling *l,
                        const long *index, Slot *out) {
  const long hands = s->maps->shape[2], step = out->stride;
  const long w = (out->w + step - 1) / step, h = (out->h + step - 1) / step;
  const double middle = (double)(step - 1) / 2;
  const uint8_t *maps = tensor_data(s->maps), *person = tensor_data(s->person);
  for (long y = 0; y < h; y++)
    for (long x = 0; x < w; x++) {
      const long p = y * w + x;
      Bilinear b;
      if (!sample_at(s, g, fit, (double)(x * step) + middle, (double)(y * step) + middle, &b)) {
        out->label[p] = LABEL_IGNORED;
        for (long k = 0; k < out->kept; k++) out->maps[k * h * w + p] = MAP_IGNORED;
        continue;
      }
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
  long h = out->h, w = out->w, n = h * w, index[HANDS];
  if (s->points->shape[0] > HANDS)
    return fail("sample: expected at most %d hands, found %ld", HANDS, s->points->shape[0]);
  float *image = scratch(0, (size_t)n * 3 * sizeof(float)),
        *other = scratch(1, (size_t)n * 3 * sizeof(float));
  if (!image || !other) return 0;
  const Fit fit = fit_of(s, out);
  Affine g = identity;
  if (a->on) g = draw_geometry(a, s, r);
  g = at_scale(&g, fit.scale);
  out->kept = keep_hands(s, &g, &fit, out->stride, index, out->points);
  if (!out->kept) {
    g = at_scale(&identity, fit.scale);
    out->kept = keep_hands(s, &g, &fit, out->stride, index, out->points);
  }
  warp_image(s, &g, &fit, out, image);
  warp_labels(s, &g, &fit, l, index, out);
  float sigma = 0;
  if (a->on) {
    colour(image, n, a->colour, r);
    if (random_uniform(r) < a->blur) blur(image, other, h, w);
    sigma = (float)(255 * a->noise * random_uniform(r));
  }
  finish(image, n, sigma, r, out->image);
  return 1;
}
