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

typedef struct Weight {
  ConvShape s;
  const float *x, *dy;
  float *out;         /* splits,co,kh,kw*c */
  bool add, copy;     /* to what out holds; windows leave the image or are not one run of memory */
  long c, o;          /* channels of a group */
  long rows, columns; /* of a block: output channels, floats of kw*c */
  long rows_n, columns_n;
  long lines, pixels; /* of a block of positions */
  long lines_n, pixels_n, splits;
} Weight;

static bool fits(const ConvShape *s) { return s->n > 0; }

/* count x width floats, `from` rows apart, to rows of `pitch`, the rest of each filled with zeros. */
static void copy_rows(const float *from, long apart, long count, long width, float *to, long pitch) {
  for (long i = 0; i < count; i++, from += apart, to += pitch) {
    long j = 0;
    for (; j + LANES <= width; j += LANES) vstore(to + j, vload(from + j));
    for (; j < width; j++) to[j] = from[j];
    for (; j < pitch; j++) to[j] = 0;
  }
}

static int chunk_run(void *arg, long chunk) {
  const Weight *d = arg;
  const ConvShape *s = &d->s;
  long v = chunk % d->columns_n, u = chunk / d->columns_n % d->rows_n,
       a = chunk / d->columns_n / d->rows_n % s->kh;
  long rest = chunk / d->columns_n / d->rows_n / s->kh, g = rest % s->groups, split = rest / s->groups;
  long o0 = u * d->rows, rows = least(d->o - o0, d->rows);
  long run = s->kw * d->c, j0 = v * d->columns, columns = least(run - j0, d->columns);
  float *out = d->out + (((split * s->groups + g) * d->o + o0) * s->kh + a) * run + j0;
  long most = d->lines * d->pixels, wide = (d->pixels - 1) * s->stride + s->kw;
  float *left = scratch(0, (size_t)(most * rows) * sizeof *left);
  float *right = scratch(1, (size_t)(most * panel_columns(columns)) * sizeof *right);
  float *window =
      d->copy ? scratch(2, (size_t)(((d->lines - 1) * s->stride + 1) * wide * d->c) * sizeof *window) : NULL;
  if (!left || !right || (d->copy && !window)) return 0;
  long blocks = s->n * d->lines_n * d->pixels_n, begin = blocks * split / d->splits;
  for (long block = begin; block < blocks * (split + 1) / d->splits; block++) {
    long x0 = block % d->pixels_n * d->pixels, y0 = block / d->pixels_n % d->lines_n * d->lines;
    long image = block / d->pixels_n / d->lines_n, pixels = least(s->wo - x0, d->pixels);
    long lines = least(s->ho - y0, d->lines), top = y0 * s->stride - s->pad + a,
         edge = x0 * s->stride - s->pad;
    const float *source = d->x + image * s->h * s->w * s->ci + g * d->c;
    long each = s->ci, line = s->w * s->ci;
    if (d->copy) {
      each = d->c, line = ((pixels - 1) * s->stride + s->kw) * d->c;
      copy_window(source, s->h, s->w, s->ci, d->c, top, edge, (lines - 1) * s->stride + 1, line / d->c,
                  window);
      source = window;
    } else
      source += top * line + edge * each;
    for (long y = 0; y < lines; y++)
      copy_rows(d->dy + ((image * s->ho + y0 + y) * s->wo + x0) * s->co + g * d->o + o0, s->co, pixels, rows,
                left + y * pixels * rows, rows);
    long positions = lines * pixels, strips = ratio_up(rows, TILE_ROWS);
    for (long j = 0; j < columns; j += PANEL) {
      long valid = least(columns - j, PANEL), width = valid > LANES ? PANEL : LANES;
      for (long y = 0; y < lines; y++)
        copy_rows(source + y * s->stride * line + j0 + j, s->stride * each, pixels, valid,
                  right + y * pixels * width, width);
      for (long i = 0; i < strips; i++) {
        long r0 = rows * i / strips, r1 = rows * (i + 1) / strips;
        const float *at = left + r0;
        Tile t = {.runs = 1,
                  .a = &at,
                  .lda = 1,
                  .step = rows,
                  .k = positions,
                  .b = right,
                  .c = out + r0 * s->kh * run + j,
                  .ldc = s->kh * run,
                  .valid = valid,
                  .add = block > begin || d->add};
        ISA_NAME(conv_tile)(&t, r1 - r0);
      }
    }
  }
  return 1;
}

static int run(const ConvShape *shape, const float *x, const float *dy, float *dw, bool add) {
  Weight d = {.s = *shape, .x = x, .dy = dy, .out = dw, .add = add};
  ConvShape *s = &d.s;
  d.c = s->ci / s->groups;
  d.o = s->co / s->groups;
  bool inside = s->pad == 0; /* floor((h - kh) / stride) + 1 windows never pass the other end */
  d.copy = !(inside && s->kw == 1);
  if (!d.copy && s->kh == 1 && s->stride == 1) { /* 1 x 1: all images are one row of pixels */
    s->w = s->wo = s->n * s->h * s->w;
    s->n = s->h = s->ho = 1;
  }
  d.rows = ratio_up(d.o, ratio_up(d.o, ROWS));
  d.rows_n = ratio_up(d.o, d.rows);
  d.columns = least(COLUMNS, panels(s->kw * d.c) * PANEL);
  d.columns_n = ratio_up(s->kw * d.c, d.columns);
  d.pixels = ratio_up(s->wo, ratio_up(s->wo, POSITIONS));
  d.pixels_n = ratio_up(s->wo, d.pixels);
  d.lines = least(s->ho, ratio_up(POSITIONS, d.pixels));
  d.lines_n = ratio_up(s->ho, d.lines);
  long blocks = s->groups * s->kh * d.rows_n * d.columns_n, positions = s->n * d.lines_n * d.pixels_n;
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
