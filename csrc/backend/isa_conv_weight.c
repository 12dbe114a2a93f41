/* Gradients of weights, any shape: for each row of the kernel one matrix product, dy transposed (co x
 * positions) times windows (positions x kw*c), whose result lies in dw as it is. A chunk owns a block of that
 * result and walks over the positions, copying both operands to small dense blocks first: strides that are
 * powers of two would let them push each other out of the cache. Where blocks are few, positions are split
 * too, and partial results added in order. */
#include "backend/conv_kernel.h"
#include "backend/conv_parts.h"
#include "backend/conv_window.h"
#include "core/memory.h"
#include "core/pool.h"

enum { POSITIONS = 256, ROWS = 128, COLUMNS = 256, CHUNKS = 16 };
enum { WINDOW = 1 << 24 }; /* floats of a copied window; positions further apart are copied one by one */

typedef struct Weight {
  ConvShape s;
  const float *x, *dy;
  float *out;          /* splits,co,kh,kw*c */
  bool add, copy;      /* to what out holds; windows leave the image or are not one run of memory */
  long c, o;           /* channels of a group */
  long rows, channels; /* of a block: output channels, input channels */
  long parts;          /* of a window's row: kw of `channels` floats, or one of all where they are few */
  long taps;           /* kernel rows of a chunk: 1, or all where they are short */
  long rows_n, channels_n;
  long lines, pixels; /* of a block of positions */
  long lines_n, pixels_n, splits;
} Weight;

/* One block of positions, of one chunk. */
typedef struct Block {
  long image, y, x, lines, pixels; /* grid */
  const float *source;             /* the first window's row a, from the chunk's first channel … */
  long line, each;                 /* … and floats to the next input row and pixel */
  float *left, *right, *window;    /* positions x rows in strips; one panel; copied windows */
} Block;

/* What a block of lines x pixels positions sees. */
static long window_floats(const Weight *d, long lines, long pixels, long channels) {
  return ((lines - 1) * d->s.stride_h + 1) * ((pixels - 1) * d->s.stride_w + conv_reach_w(&d->s)) * channels;
}

static bool fits(const ConvShape *s) { return s->n > 0; }

/* count x width floats, `apart` from one row to the next, to rows of `pitch`, the rest of each filled with
 * zeros. */
static void copy_rows(const float *from, long apart, long count, long width, float *to, long pitch) {
  for (long i = 0; i < count; i++, from += apart, to += pitch) {
    long j = 0;
    for (; j + LANES <= width; j += LANES) vstore(to + j, vload(from + j));
    for (; j < width; j++) to[j] = from[j];
    for (; j < pitch; j++) to[j] = 0;
  }
}

/* The same for TILE_ROWS floats of each row. */
static void copy_strip(const float *from, long apart, long count, float *to) {
  for (long i = 0; i < count; i++, from += apart, to += TILE_ROWS)
    for (int r = 0; r < TILE_ROWS; r++) to[r] = from[r];
}

/* Where block i is, and its windows, for kernel row a, group g, channels c0 …: copied, or in place. */
static void find(const Weight *d, long i, long a, long g, long c0, long channels, Block *b) {
  const ConvShape *s = &d->s;
  b->x = i % d->pixels_n * d->pixels;
  b->y = i / d->pixels_n % d->lines_n * d->lines;
  b->image = i / d->pixels_n / d->lines_n;
  b->pixels = least(s->wo - b->x, d->pixels);
  b->lines = least(s->ho - b->y, d->lines);
  long top = b->y * s->stride_h - s->top + a * s->dilation_h, edge = b->x * s->stride_w - s->left;
  const float *image = d->x + b->image * s->h * s->w * s->ci + g * d->c + c0;
  if (d->copy) {
    long wide = (b->pixels - 1) * s->stride_w + conv_reach_w(s);
    copy_window(image, s->h, s->w, s->ci, channels, top, edge, (b->lines - 1) * s->stride_h + 1, wide,
                b->window);
    b->source = b->window;
    b->each = channels;
    b->line = wide * channels;
  } else {
    b->each = s->ci;
    b->line = s->w * s->ci;
    b->source = image + top * b->line + edge * b->each;
  }
}

/* dy's rows of `rows` channels in strips of TILE_ROWS, the last one narrower, each positions x its width. */
static void take_gradient(const Weight *d, const Block *b, long channel, long rows) {
  const ConvShape *s = &d->s;
  long positions = b->lines * b->pixels;
  for (long r = 0; r < rows; r += TILE_ROWS) {
    long n = least(TILE_ROWS, rows - r);
    for (long y = 0; y < b->lines; y++) {
      const float *dy = d->dy + ((b->image * s->ho + b->y + y) * s->wo + b->x) * s->co + channel + r;
      float *to = b->left + r * positions + y * b->pixels * n;
      if (n == TILE_ROWS)
        copy_strip(dy, s->co, b->pixels, to);
      else
        copy_rows(dy, s->co, b->pixels, n, to, n);
    }
  }
}

/* out (rows, apart floats from one to the next) = or += left transposed times right. */
static void multiply(const Block *b, long rows, long valid, float *out, long apart, bool add) {
  long positions = b->lines * b->pixels;
  for (long r = 0; r < rows; r += TILE_ROWS) {
    long n = least(TILE_ROWS, rows - r);
    const float *at = b->left + r * positions;
    Tile t = {.runs = 1, .a = &at, .lda = 1, .step = n, .k = positions, .b = b->right};
    t.c = out + r * apart, t.ldc = apart, t.valid = valid, t.add = add;
    ISA_NAME(conv_tile)(&t, n);
  }
}

static int chunk_run(void *arg, long chunk) {
  const Weight *d = arg;
  const ConvShape *s = &d->s;
  long v = chunk % d->channels_n, u = chunk / d->channels_n % d->rows_n;
  long rest = chunk / d->channels_n / d->rows_n, taps_n = s->kh / d->taps, a0 = rest % taps_n * d->taps;
  long g = rest / taps_n % s->groups, split = rest / taps_n / s->groups;
  long o0 = u * d->rows, rows = least(d->o - o0, d->rows), run = s->kw * d->c;
  long c0 = v * d->channels, channels = least(d->c - c0, d->channels), part = s->kw * channels / d->parts;
  float *out = d->out + (((split * s->groups + g) * d->o + o0) * s->kh + a0) * run + c0;
  long most = d->lines * d->pixels;
  long window = window_floats(d, d->lines, d->pixels, channels);
  Block b = {.left = scratch(0, (size_t)(most * rows) * sizeof(float)),
             .right = scratch(1, (size_t)(most * PANEL) * sizeof(float)),
             .window = d->copy ? scratch(2, (size_t)window * sizeof(float)) : NULL};
  if (!b.left || !b.right || (d->copy && !b.window)) return 0;
  long blocks = s->n * d->lines_n * d->pixels_n, begin = blocks * split / d->splits;
  for (long i = begin; i < blocks * (split + 1) / d->splits; i++) {
    find(d, i, a0, g, c0, channels, &b);
    take_gradient(d, &b, g * d->o + o0, rows);
    for (long a = 0; a < d->taps; a++) {
      if (a > 0) find(d, i, a0 + a, g, c0, channels, &b);
      for (long p = 0; p < d->parts; p++) {
        for (long j = 0; j < part; j += PANEL) {
          long valid = least(part - j, PANEL), width = valid > LANES ? PANEL : LANES;
          for (long y = 0; y < b.lines; y++)
            copy_rows(b.source + y * s->stride_h * b.line + p * s->dilation_w * b.each + j,
                      s->stride_w * b.each, b.pixels, valid, b.right + y * b.pixels * width, width);
          multiply(&b, rows, valid, out + a * run + p * d->c + j, s->kh * run, i > begin || d->add);
        }
      }
    }
  }
  return 1;
}

/* Whether no window leaves the image. */
static bool is_inside(const ConvShape *s) {
  return s->top == 0 && s->left == 0 && (s->ho - 1) * s->stride_h + conv_reach_h(s) <= s->h &&
         (s->wo - 1) * s->stride_w + conv_reach_w(s) <= s->w;
}

static int run(const ConvShape *shape, const float *x, const float *dy, float *dw, bool add) {
  Weight d = {.s = *shape, .x = x, .dy = dy, .out = dw, .add = add};
  ConvShape *s = &d.s;
  d.c = s->ci / s->groups;
  d.o = s->co / s->groups;
  d.copy = s->kw > 1 || !is_inside(s);
  if (!d.copy && s->kh == 1 && s->stride_h == 1 && s->stride_w == 1 && s->ho == s->h &&
      s->wo == s->w) { /* 1 x 1: all images are one row of pixels */
    s->w = s->wo = s->n * s->h * s->w;
    s->n = s->h = s->ho = 1;
  }
  d.rows = ratio_up(d.o, ratio_up(d.o, ROWS));
  d.rows_n = ratio_up(d.o, d.rows);
  d.parts = d.c < 2 * PANEL && s->dilation_w == 1 ? 1 : s->kw;
  d.channels =
      d.parts == 1 && s->kw > 1 ? d.c : least(d.c, ratio_up(ratio_up(COLUMNS, s->kw), PANEL) * PANEL);
  d.channels_n = ratio_up(d.c, d.channels);
  d.taps = d.parts == 1 ? s->kh : 1;
  d.pixels = ratio_up(s->wo, ratio_up(s->wo, POSITIONS));
  d.lines = least(s->ho, ratio_up(POSITIONS, d.pixels));
  if (d.copy && window_floats(&d, d.lines, d.pixels, d.channels) > WINDOW) d.lines = d.pixels = 1;
  d.pixels_n = ratio_up(s->wo, d.pixels);
  d.lines_n = ratio_up(s->ho, d.lines);
  long blocks = s->groups * s->kh / d.taps * d.rows_n * d.channels_n,
       positions = s->n * d.lines_n * d.pixels_n;
  d.splits = blocks >= CHUNKS ? 1 : least(ratio_up(CHUNKS, blocks), positions);
  if (d.splits == 1) return parallel(blocks, chunk_run, &d);
  long count = s->co * s->kh * s->kw * d.c;
  size_t bytes = (size_t)(count * d.splits) * sizeof(float);
  d.add = false;
  d.out = memory_take(bytes);
  int ok = d.out && parallel(blocks * d.splits, chunk_run, &d) && weight_sum(count, d.splits, d.out, dw, add);
  memory_give(d.out, bytes);
  return ok;
}

WeightMethod ISA_NAME(weight_direct)(void) { return (WeightMethod){fits, run}; }
