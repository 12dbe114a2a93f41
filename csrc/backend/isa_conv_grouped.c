/* Grouped convolution, depthwise included, where whole groups of C = 1, 2, 4, 8 (16) channels share a vector:
 * every lane is an output channel, and inputs are spread over the lanes of their group (see conv_grouped.h).
 * Any window and step. Expects as many output as input channels, in whole vectors; the rest is for the direct
 * method. */
#include "backend/conv_parts.h"
#include "backend/conv_grouped.h"
#include "backend/conv_window.h"
#include "core/pool.h"

enum { STRIP = LANES == 16 ? 12 : 8, FLOATS = 12 << 10 /* of a copied window */ };

typedef struct Grouped {
  Corr c;
  const float *packed; /* vectors, kh, kw, c, LANES */
  long rows, rows_n, vectors;
} Grouped;

static bool fits(const Corr *c) {
  return c->groups > 1 && c->x_group == c->c && c->c == c->o && LANES % c->c == 0 &&
         c->groups * c->c % LANES == 0;
}

static size_t size(const Corr *c) { return (size_t)(c->groups * c->c * c->kh * c->kw * c->c); }

static int pack(const Corr *c, float *to) {
  for (long channel = 0; channel < c->groups * c->o; channel += LANES)
    for (long a = 0; a < c->kh; a++)
      for (long b = 0; b < c->kw; b++)
        for (long k = 0; k < c->c; k++)
          for (long l = 0; l < LANES; l++)
            *to++ = c->weight[a * c->w_row + b * c->w_col + k * c->w_in + (channel + l) % c->o * c->w_out +
                              (channel + l) / c->o * c->w_group];
  return 1;
}

/* n <= STRIP results of one grid row, side by side. */
INLINE void strip(const int n, const int channels, const Grouped *d, const float *x, long line,
                  const float *w, long at, long channel) {
  const Corr *c = &d->c;
  vf sum[STRIP];
  UNROLL for (int p = 0; p < n; p++) sum[p] = (vf){0};
  for (long a = 0; a < c->kh; a++) {
    for (long b = 0; b < c->kw; b++) {
      const float *pixel = x + a * c->gap_h * line + b * c->gap_w * LANES;
      UNROLL for (int k = 0; k < channels; k++, w += LANES) {
        vf weight = vload(w);
        UNROLL for (int p = 0; p < n; p++) sum[p] +=
            group_lane(pixel + p * c->step_w * LANES, channels, k) * weight;
      }
    }
  }
  vf scale = {0}, shift = {0};
  if (c->scale) scale = vload(c->scale + channel);
  if (c->shift) shift = vload(c->shift + channel);
  UNROLL for (int p = 0; p < n; p++, at += c->y_col) {
    vf r = sum[p];
    if (c->add) r += vload(c->y + at);
    if (c->scale) r *= scale;
    if (c->shift) r += shift;
    if (c->residual) r += vload(c->residual + at);
    vstore(c->y + at, clip(r, c->act));
  }
}

INLINE int block(const int channels, const Grouped *d, long chunk) {
  const Corr *c = &d->c;
  long v = chunk % d->vectors, r = chunk / d->vectors % d->rows_n, image = chunk / d->vectors / d->rows_n;
  long y0 = r * d->rows, y1 = least(c->gh, y0 + d->rows), channel = v * LANES, pixel = c->groups * c->c;
  long lines = (y1 - y0 - 1) * c->step_h + (c->kh - 1) * c->gap_h + 1;
  long pixels = (c->gw - 1) * c->step_w + (c->kw - 1) * c->gap_w + 1, line = pixels * LANES;
  float *x = scratch(0, (size_t)(lines * line) * sizeof *x);
  if (!x) return 0;
  copy_window(c->x + image * c->h * c->w * pixel + channel, c->h, c->w, pixel, LANES, c->top + y0 * c->step_h,
              c->left, lines, pixels, x);
  const float *w = d->packed + channel * c->kh * c->kw * channels;
  for (long y = y0; y < y1; y++) {
    const float *row = x + (y - y0) * c->step_h * line;
    long at = image * c->y_image + y * c->y_row + channel, p = 0;
    for (; p + STRIP <= c->gw; p += STRIP)
      strip(STRIP, channels, d, row + p * c->step_w * LANES, line, w, at + p * c->y_col, channel);
    for (; p + 4 <= c->gw; p += 4)
      strip(4, channels, d, row + p * c->step_w * LANES, line, w, at + p * c->y_col, channel);
    for (; p < c->gw; p++)
      strip(1, channels, d, row + p * c->step_w * LANES, line, w, at + p * c->y_col, channel);
  }
  return 1;
}

GROUPED_CHUNKS

static int run(const Corr *c, const float *packed) {
  Grouped d = {.c = *c, .packed = packed, .vectors = c->groups * c->c / LANES};
  d.rows = FLOATS / (c->step_h * c->step_w * c->gw * LANES);
  d.rows = d.rows < 1 ? 1 : least(d.rows, c->gh);
  d.rows_n = ratio_up(c->gh, d.rows);
  return parallel(c->n * d.rows_n * d.vectors, chunk_of(c->c), &d);
}

Method ISA_NAME(conv_grouped)(void) { return (Method){fits, size, pack, run}; }
