/* Dense convolution of any shape, without a patch matrix. Since images are channels-last, the kw pixels of a
 * window's row are one run of kw*c floats, so a k x k convolution is kh runs added in registers, and a 1 x 1
 * one reads the image as it is. Where a window leaves the image (or a group's channels are not alone in their
 * pixels) the rows it needs are first copied, with their border of zeros, to a buffer that stays in the
 * cache. */
#include "backend/conv_kernel.h"
#include "backend/conv_parts.h"
#include "backend/conv_window.h"
#include "core/pool.h"

enum {
  POSITIONS = 96, /* grid positions of a chunk: enough to use a panel of weights again and again */
  RUN_SUM = 576,  /* longest sum in registers: a panel of it, and the rows, stay near */
  CHUNKS = 12,    /* at least so many, for the threads */
  PACK_CHANNELS = 128,
  SHARING = 1024,  /* floats: pixels so far apart share cache lines */
  WINDOW = 1 << 24 /* floats of a copied window; places further apart are copied one by one */
};

typedef struct Direct {
  Corr c;
  const float *packed;
  bool copy;                      /* windows are copied … */
  long pitch;                     /* … or, where > 0, pixels: floats from one to the next */
  long block;                     /* channels of a step of the sum */
  long rows, columns, width;      /* of a chunk: grid rows, grid columns, output channels */
  long rows_n, columns_n, widths; /* how many of these there are */
} Direct;

/* Channels per step, as even as possible. */
static long channel_block(const Corr *c) {
  long most = RUN_SUM / (c->kh * c->kw);
  if (most < 16) most = 16;
  long steps = ratio_up(c->c, most);
  return ratio_up(c->c, steps);
}

static bool fits(const Corr *c) { return corr_runs(c) <= CONV_KERNEL_MAX; }

static size_t size(const Corr *c) { return (size_t)(c->groups * panel_columns(c->o) * c->kh * c->kw * c->c); }

/* Order: group, step of channels, panel, a, b, channel, column. One chunk: one panel of one step. */
typedef struct Pack {
  const Corr *c;
  float *packed;
} Pack;

static int pack_chunk(void *arg, long chunk) {
  const Pack *p = arg;
  const Corr *c = p->c;
  long block = channel_block(c), steps = ratio_up(c->c, block), np = panels(c->o);
  long panel = chunk % np, step = chunk / np % steps, g = chunk / np / steps;
  long c0 = step * block, cs = least(c->c - c0, block), window = c->kh * c->kw;
  long o0 = panel * PANEL, valid = least(c->o - o0, PANEL), width = valid > LANES ? PANEL : LANES;
  float *to = p->packed + (g * c->c + c0) * window * panel_columns(c->o) + o0 * window * cs;
  for (long a = 0; a < c->kh; a++) {
    for (long b = 0; b < c->kw; b++) {
      const float *from =
          c->weight + a * c->w_row + b * c->w_col + c0 * c->w_in + o0 * c->w_out + g * c->w_group;
      if (c->w_in == 1) { /* transposing: read along the rows of the weights */
        if (valid < width) memset(to, 0, (size_t)(cs * width) * sizeof *to);
        for (long k0 = 0; k0 < cs; k0 += PACK_CHANNELS) /* so many rows of the panel stay in the cache */
          for (long o = 0; o < valid; o++)
            for (long k = k0; k < least(cs, k0 + PACK_CHANNELS); k++)
              to[k * width + o] = from[o * c->w_out + k];
      } else {
        for (long k = 0; k < cs; k++) {
          for (long o = 0; o < valid; o++) to[k * width + o] = from[o * c->w_out + k * c->w_in];
          for (long o = valid; o < width; o++) to[k * width + o] = 0;
        }
      }
      to += cs * width;
    }
  }
  return 1;
}

static int pack(const Corr *c, float *packed) {
  Pack p = {c, packed};
  return parallel(c->groups * ratio_up(c->c, channel_block(c)) * panels(c->o), pack_chunk, &p);
}

/* Input rows and columns that so many of the grid see. */
static long lines_of(const Corr *c, long rows) { return (rows - 1) * c->step_h + (c->kh - 1) * c->gap_h + 1; }
static long pixels_of(const Corr *c, long columns) {
  return (columns - 1) * c->step_w + (c->kw - 1) * c->gap_w + 1;
}

/* What a step of the sum over rows x columns places of the grid sees. */
static long window_floats(const Direct *d, long rows, long columns) {
  const Corr *c = &d->c;
  return lines_of(c, rows) * pixels_of(c, columns) * d->block;
}

/* cs channels of lines x pixels places, `down` and `right` floats apart, to places `pitch` floats apart. */
static void copy_pixels(const float *from, long down, long right, long cs, long lines, long pixels, float *to,
                        long pitch) {
  for (long i = 0; i < lines; i++)
    for (long j = 0; j < pixels; j++, to += pitch)
      memcpy(to, from + i * down + j * right, (size_t)cs * sizeof *to);
}

static int chunk_run(void *arg, long chunk) {
  const Direct *d = arg;
  const Corr *c = &d->c;
  long q = chunk % d->widths, u = chunk / d->widths % d->columns_n,
       v = chunk / d->widths / d->columns_n % d->rows_n;
  long image = chunk / d->widths / d->columns_n / d->rows_n % c->n,
       g = chunk / d->widths / d->columns_n / d->rows_n / c->n;
  long o0 = q * d->width, o1 = least(c->o, o0 + d->width), x0 = u * d->columns,
       x1 = least(c->gw, x0 + d->columns);
  long y0 = v * d->rows, y1 = least(c->gh, y0 + d->rows);
  long pixel = c->pixel, window = c->kh * c->kw;
  long lines = lines_of(c, y1 - y0), pixels = pixels_of(c, x1 - x0);
  long runs = corr_runs(c), run = runs / c->kh; /* of a kernel row */
  const float *in = c->x + image * c->h * c->w * pixel + g * c->x_group;
  long floats = d->copy ? window_floats(d, y1 - y0, x1 - x0) : (y1 - y0) * (x1 - x0) * d->pitch;
  float *buffer = floats ? scratch(0, (size_t)floats * sizeof *buffer) : NULL;
  if (floats && !buffer) return 0;
  for (long c0 = 0; c0 < c->c; c0 += d->block) {
    long cs = least(c->c - c0, d->block), line = d->copy ? pixels * cs : c->w * pixel;
    long place = d->copy ? cs : pixel;
    long right = c->step_w * place, down = c->step_h * line; /* to the next place of the grid */
    const float *base = in + ((c->top + y0 * c->step_h) * c->w + c->left + x0 * c->step_w) * pixel + c0;
    if (d->copy) {
      copy_window(in + c0, c->h, c->w, pixel, cs, c->top + y0 * c->step_h, c->left + x0 * c->step_w, lines,
                  pixels, buffer);
      base = buffer;
    } else if (d->pitch) {
      copy_pixels(base, down, right, cs, y1 - y0, x1 - x0, buffer, d->pitch);
      base = buffer, right = d->pitch, down = (x1 - x0) * right;
    }
    bool last = c0 + cs == c->c;
    const float *weights = d->packed + (g * c->c + c0) * window * panel_columns(c->o);
    long strips = ratio_up(x1 - x0, TILE_ROWS);
    for (long o = o0; o < o1; o += PANEL) {
      long channel = g * c->o + o;
      for (long y = y0; y < y1; y++) {
        const float *row = base + (y - y0) * down;
        long at = image * c->y_image + y * c->y_row + channel;
        for (long i = 0; i < strips; i++) {
          long s0 = (x1 - x0) * i / strips, s1 = (x1 - x0) * (i + 1) / strips,
               offset = at + (x0 + s0) * c->y_col;
          const float *a[CONV_KERNEL_MAX];
          for (long k = 0; k < runs; k++)
            a[k] = row + k / run * c->gap_h * line + k % run * c->gap_w * place + s0 * right;
          Tile t = {.runs = runs,
                    .a = a,
                    .lda = right,
                    .step = 1,
                    .k = run > 1 ? cs : c->kw * cs,
                    .b = weights + o * window * cs,
                    .c = c->y + offset,
                    .ldc = c->y_col,
                    .valid = least(o1 - o, PANEL),
                    .add = c->add || c0 > 0};
          if (last) {
            t.scale = c->scale ? c->scale + channel : NULL;
            t.shift = c->shift ? c->shift + channel : NULL;
            t.residual = c->residual ? c->residual + offset : NULL;
            t.act = c->act;
          }
          ISA_NAME(conv_tile)(&t, s1 - s0);
        }
      }
    }
  }
  return 1;
}

static int run(const Corr *c, const float *packed) {
  Direct d = {.c = *c, .packed = packed};
  long bottom = c->top + lines_of(c, c->gh), right = c->left + pixels_of(c, c->gw);
  bool inside = c->top >= 0 && c->left >= 0 && bottom <= c->h && right <= c->w;
  d.copy = !(inside && c->kw == 1);
  if (!d.copy && c->kh == 1 && c->step_h == 1 && c->step_w == 1 && c->gh == c->h && c->gw == c->w &&
      c->y_row == c->gw * c->y_col &&
      c->y_image == c->gh * c->y_row) { /* 1 x 1: all images are one row of pixels */
    d.c.gw = d.c.w = c->n * c->gh * c->gw;
    d.c.n = d.c.gh = d.c.h = 1;
  }
  d.block = channel_block(c);
  /* Pixels whose distance is a multiple of a page share a few cache lines: a tile's rows evict each other. */
  if (!d.copy && c->kh == 1 && c->pixel % SHARING == 0) d.pitch = d.block + LANES;
  d.columns = least(d.c.gw, POSITIONS);
  d.columns = ratio_up(d.c.gw, ratio_up(d.c.gw, d.columns));
  d.rows = least(d.c.gh, POSITIONS / d.columns);
  if (d.copy && window_floats(&d, d.rows, d.columns) > WINDOW) d.rows = d.columns = 1;
  d.rows_n = ratio_up(d.c.gh, d.rows);
  d.columns_n = ratio_up(d.c.gw, d.columns);
  long others = d.c.n * d.c.groups * d.rows_n * d.columns_n, widths = panels(c->o);
  while (widths > 2 && others * ratio_up(panels(c->o), widths) < CHUNKS) widths = ratio_up(widths, 2);
  d.width = widths * PANEL;
  d.widths = ratio_up(c->o, d.width);
  return parallel(others * d.widths, chunk_run, &d);
}

Method ISA_NAME(conv_direct)(void) { return (Method){fits, size, pack, run}; }
