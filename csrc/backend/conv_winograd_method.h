/* 3 x 3 convolution with stride 1 by Winograd's F(E x E, 3 x 3): see conv_winograd.h. The two sizes of tiles
 * are two methods from this one text, included by isa_conv_winograd4.c and isa_conv_winograd6.c, which set
 * WINOGRAD_EDGE and the method's name. Tiles are transformed, multiplied with the transformed weights, one
 * matrix product for each frequency, and transformed back. With few channels a chunk does all three for a
 * block of tiles that stays in its core's cache; with many, where a block's weights would outweigh its tiles,
 * the three are passes over many tiles. Expects channels in whole vectors;
 * the rest is for the direct method. */
#include "backend/conv_parts.h"
#include "backend/conv_winograd.h"
#include "core/memory.h"
#include "core/pool.h"

#include <stdint.h>
#include <string.h>

enum {
  BLOCK_BYTES = 400 << 10, /* of transformed tiles in a core's cache */
  BLOCK_MAX = 48,          /* tiles */
  FUSED_MAX = 128,         /* input channels up to which a chunk does all … */
  FUSED_LEAST = 128,       /* … if there are so many tiles */
  PAYS = 300, /* products that must be saved for a pair of channels, whose weights are four times as many */
  LARGE_MAX = 64,          /* channels up to which the larger tiles pay */
  PACK_STREAM = 4 << 20,   /* bytes of weights that are packed past the caches */
  STREAM_BYTES = 16 << 20, /* of results that go past the caches */
  STEP = 512,              /* longest sum in registers */
  GAP = 48,                /* floats between frequencies, against cache lines that share a set */
};

typedef struct Winograd {
  Corr c;
  const float *u;    /* frequencies, panels, c, width */
  long down, across; /* tiles of an image */
  long tiles, block; /* all, and in a chunk or pass */
  long first;        /* of the pass */
  bool stream;       /* results go past the caches */
  float *v, *m;      /* of the pass: frequencies, block, channels */
  long v_apart, m_apart;
} Winograd;

static long tiles_of(const Corr *c, long edge) {
  return c->n * ratio_up(c->gh, edge) * ratio_up(c->gw, edge);
}

/* The larger tiles need four fifths of the smaller ones' products, if edges do not eat that up; with many
 * channels weights, which are more for them, would have to come from far away. */
static bool fits(const Corr *c) {
  bool any = c->kh == 3 && c->kw == 3 && c->step_h == 1 && c->step_w == 1 && c->gap_h == 1 && c->gap_w == 1 &&
             c->groups == 1 && c->c % LANES == 0 && c->o % LANES == 0;
  if (EDGE == 4) return any && 9 * c->n * c->gh * c->gw - 36 * tiles_of(c, 4) > PAYS;
  return any && c->c <= LARGE_MAX && c->o <= LARGE_MAX && tiles_of(c, EDGE) >= FUSED_LEAST &&
         tiles_of(c, 6) * 64 * 10 < tiles_of(c, 4) * 36 * 9;
}

static size_t size(const Corr *c) { return (size_t)(FREQUENCIES * c->c * c->o); }

/* ---- weights ---- */

typedef struct Pack {
  const Corr *c;
  float *u;
} Pack;

/* A chunk: one panel, so many channels. */
enum { PACK_CHANNELS = 32, PACK_PITCH = PACK_CHANNELS + 1 };

/* The nine taps of LANES output channels from `w` on, `count` input channels each: to[tap][output][input].
 * Inputs lie side by side; read one by one across the outputs, whose distance is often a power of two, they
 * would push each other out of the cache. */
static void gather_taps(const Corr *c, const float *w, long count, float *to) {
  for (long a = 0; a < 3; a++)
    for (long b = 0; b < 3; b++)
      for (long l = 0; l < LANES; l++, to += PACK_PITCH)
        for (long k = 0; k < count; k++) to[k] = w[a * c->w_row + b * c->w_col + l * c->w_out + k * c->w_in];
}

static int pack_chunk(void *arg, long chunk) {
  const Pack *p = arg;
  const Corr *c = p->c;
  long o0 = chunk % panels(c->o) * PANEL, k0 = chunk / panels(c->o) * PACK_CHANNELS;
  long width = least(c->o - o0, PANEL), count = least(PACK_CHANNELS, c->c - k0), apart = c->c * c->o;
  bool stream = FREQUENCIES * apart * (long)sizeof(float) > PACK_STREAM;
  float taps[9 * LANES * PACK_PITCH];
  for (long o = 0; o < width; o += LANES) {
    const float *w = c->weight + (o0 + o) * c->w_out + k0 * c->w_in;
    if (c->w_out != 1) gather_taps(c, w, count, taps);
    for (long k = 0; k < count; k++) {
      vf half[SIDE][3], g[3], t[SIDE];
      UNROLL for (int j = 0; j < 3; j++) {
        UNROLL for (int i = 0; i < 3; i++) {
          float lanes[LANES];
          if (c->w_out != 1)
            for (int l = 0; l < LANES; l++) lanes[l] = taps[((i * 3 + j) * LANES + l) * PACK_PITCH + k];
          g[i] = vload(c->w_out == 1 ? w + i * c->w_row + j * c->w_col + k * c->w_in : lanes);
        }
        line_weight(g, t);
        UNROLL for (int i = 0; i < SIDE; i++) half[i][j] = t[i];
      }
      float *to = p->u + o0 * c->c + (k0 + k) * width + o;
      LINES for (int i = 0; i < SIDE; i++) {
        line_weight(half[i], t);
        UNROLL for (int j = 0; j < SIDE; j++) {
          if (stream)
            vstream(to + (i * SIDE + j) * apart, t[j]);
          else
            vstore(to + (i * SIDE + j) * apart, t[j]);
        }
      }
    }
  }
  if (stream) vstream_end();
  return 1;
}

static int pack(const Corr *c, float *packed) {
  Pack p = {c, packed};
  return parallel(panels(c->o) * ((c->c + PACK_CHANNELS - 1) / PACK_CHANNELS), pack_chunk, &p);
}

/* ---- tiles ---- */

/* Where tile t is: its image, and the grid row and column of its first output. */
static void place(const Winograd *d, long t, long *image, long *y, long *x) {
  *image = t / (d->down * d->across);
  *y = t / d->across % d->down * EDGE;
  *x = t % d->across * EDGE;
}

static void transform(const Winograd *d, long t, long k0, long k1, const float *zeros, float *v) {
  const Corr *c = &d->c;
  const float *at[FREQUENCIES];
  long image, y, x;
  place(d, t, &image, &y, &x);
  tile_pixels(c->x + image * c->h * c->w * c->c + k0, c->h, c->w, c->c, y + c->top, x + c->left, zeros, at);
  tile_input(at, 0, k1 - k0, v, d->v_apart);
}

/* rows, columns: of the tile that lie in the grid; bare: nothing but shift and activation follows; stream:
 * past the caches. */
INLINE void results(const Corr *c, const long rows, const long columns, const bool bare, const bool stream,
                    vf half[EDGE][SIDE], long at, vf scale, vf shift) {
  vf out[EDGE];
  LINES for (int i = 0; i < EDGE; i++) {
    line_output(half[i], out);
    UNROLL for (int j = 0; j < EDGE; j++) {
      if (i >= rows || j >= columns) continue;
      long place = at + i * c->y_row + j * c->y_col;
      vf r = out[j];
      if (!bare && c->add) r += vload(c->y + place);
      if (!bare && c->scale) r *= scale;
      r += shift;
      if (!bare && c->residual) r += vload(c->residual + place);
      if (stream)
        vstream(c->y + place, clip(r, c->act));
      else
        vstore(c->y + place, clip(r, c->act));
    }
  }
}

static void transform_back(const Winograd *d, long t, long o0, long o1, const float *m) {
  const Corr *c = &d->c;
  long image, y, x;
  place(d, t, &image, &y, &x);
  long rows = least(EDGE, c->gh - y), columns = least(EDGE, c->gw - x);
  long at = image * c->y_image + y * c->y_row + x * c->y_col;
  bool simple = rows == EDGE && columns == EDGE && !c->add && !c->scale && !c->residual;
  for (long o = o0; o < o1; o += LANES, m += LANES) {
    vf half[EDGE][SIDE], in[SIDE], out[EDGE];
    LINES for (int j = 0; j < SIDE; j++) {
      UNROLL for (int i = 0; i < SIDE; i++) in[i] = vload(m + (i * SIDE + j) * d->m_apart);
      line_output(in, out);
      UNROLL for (int i = 0; i < EDGE; i++) half[i][j] = out[i];
    }
    vf shift = c->shift ? vload(c->shift + o) : (vf){0}, scale = c->scale ? vload(c->scale + o) : (vf){0};
    if (simple && d->stream)
      results(c, EDGE, EDGE, true, true, half, at + o, scale, shift);
    else if (simple)
      results(c, EDGE, EDGE, true, false, half, at + o, scale, shift);
    else
      results(c, rows, columns, false, false, half, at + o, scale, shift);
  }
  if (d->stream) vstream_end();
}

/* m (tiles x columns o0 … o1-1) = v u of frequency f; both have `pitch` floats from tile to tile. */
static void multiply(const Winograd *d, long f, long tiles, const float *v, long o0, long o1, float *m,
                     long pitch) {
  const Corr *c = &d->c;
  const float *u = d->u + f * c->c * c->o;
  long strips = (tiles + TILE_ROWS - 1) / TILE_ROWS;
  for (long k = 0; k < c->c; k += STEP) {
    for (long o = o0; o < o1; o += PANEL) {
      long width = least(c->o - o, PANEL);
      for (long i = 0; i < strips; i++) {
        long t0 = tiles * i / strips, t1 = tiles * (i + 1) / strips;
        const float *a = v + t0 * c->c + k;
        Tile t = {.runs = 1,
                  .a = &a,
                  .lda = c->c,
                  .step = 1,
                  .k = least(STEP, c->c - k),
                  .b = u + o * c->c + k * width,
                  .c = m + t0 * pitch + o - o0,
                  .ldc = pitch,
                  .valid = width,
                  .add = k > 0};
        ISA_NAME(conv_tile)(&t, t1 - t0);
      }
    }
  }
}

/* ---- all three in one chunk ---- */

static int fused_chunk(void *arg, long chunk) {
  Winograd d = *(const Winograd *)arg;
  const Corr *c = &d.c;
  long t0 = chunk * d.block, tiles = least(d.tiles - t0, d.block);
  float *m = scratch(0, (size_t)((FREQUENCIES + 1) * d.m_apart) * sizeof *m), *v = m + d.v_apart;
  float *zeros = scratch(1, (size_t)c->c * sizeof *zeros);
  if (!m || !zeros) return 0;
  memset(zeros, 0, (size_t)c->c * sizeof *zeros);
  for (long t = 0; t < tiles; t++) transform(&d, t0 + t, 0, c->c, zeros, v + t * c->c);
  for (long f = 0; f < FREQUENCIES; f++)
    multiply(&d, f, tiles, v + f * d.v_apart, 0, c->o, m + f * d.m_apart, c->o);
  for (long t = 0; t < tiles; t++) transform_back(&d, t0 + t, 0, c->o, m + t * c->o);
  return 1;
}

/* ---- or three passes ---- */

enum { PASS_CHANNELS = 128, PASS_COLUMNS = 4 * PANEL }; /* of a chunk */

static long pass_tiles(const Winograd *d) { return least(d->block, d->tiles - d->first); }

static int forth_chunk(void *arg, long chunk) {
  const Winograd *d = arg;
  long tiles = pass_tiles(d), t = chunk % tiles, k0 = chunk / tiles * PASS_CHANNELS;
  long k1 = least(d->c.c, k0 + PASS_CHANNELS);
  static const float zeros[PASS_CHANNELS];
  transform(d, d->first + t, k0, k1, zeros, d->v + t * d->c.c + k0);
  return 1;
}

static int multiply_chunk(void *arg, long chunk) {
  const Winograd *d = arg;
  long f = chunk % FREQUENCIES, o0 = chunk / FREQUENCIES * PASS_COLUMNS,
       o1 = least(d->c.o, o0 + PASS_COLUMNS);
  multiply(d, f, pass_tiles(d), d->v + f * d->v_apart, o0, o1, d->m + f * d->m_apart + o0, d->c.o);
  return 1;
}

static int back_chunk(void *arg, long chunk) {
  const Winograd *d = arg;
  transform_back(d, d->first + chunk, 0, d->c.o, d->m + chunk * d->c.o);
  return 1;
}

static int passes(Winograd *d) {
  const Corr *c = &d->c;
  size_t v_bytes = (size_t)(FREQUENCIES * d->v_apart) * sizeof *d->v;
  size_t m_bytes = (size_t)(FREQUENCIES * d->m_apart) * sizeof *d->m;
  d->v = memory_take(v_bytes);
  d->m = memory_take(m_bytes);
  int ok = d->v && d->m;
  for (d->first = 0; ok && d->first < d->tiles; d->first += d->block) {
    long tiles = pass_tiles(d);
    ok = parallel(tiles * ((c->c + PASS_CHANNELS - 1) / PASS_CHANNELS), forth_chunk, d) &&
         parallel(FREQUENCIES * ((c->o + PASS_COLUMNS - 1) / PASS_COLUMNS), multiply_chunk, d) &&
         parallel(tiles, back_chunk, d);
  }
  memory_give(d->v, v_bytes);
  memory_give(d->m, m_bytes);
  return ok;
}

/* Whether results are more than the caches keep until they are read, and lie in whole vectors. */
static bool streams(const Corr *c) {
  size_t places = (size_t)c->y_col | (size_t)c->y_row | (size_t)c->y_image | (uintptr_t)c->y / sizeof(float);
  return c->kept && places % LANES == 0 && c->n * c->gh * c->gw * c->o * (long)sizeof(float) >= STREAM_BYTES;
}

static int run(const Corr *c, const float *packed) {
  Winograd d = {.c = *c, .u = packed, .down = (c->gh + EDGE - 1) / EDGE, .across = (c->gw + EDGE - 1) / EDGE};
  d.tiles = tiles_of(c, EDGE);
  bool fused = c->c <= FUSED_MAX && d.tiles >= FUSED_LEAST;
  d.stream = streams(c);
  long each = FREQUENCIES * (c->c + c->o) * (long)sizeof(float);
  if (fused) {
    long wider = c->c > c->o ? c->c : c->o;
    d.block =
        least(BLOCK_MAX, BLOCK_BYTES / (FREQUENCIES * wider * (long)sizeof(float))) / TILE_ROWS * TILE_ROWS;
    if (d.block < TILE_ROWS) d.block = TILE_ROWS;
    d.v_apart = d.m_apart = d.block * wider + GAP;
    return parallel((d.tiles + d.block - 1) / d.block, fused_chunk, &d);
  } else { /* tiles of 8 MB, but enough of them to make good use of each weight */
    d.block = (8L << 20) / each;
    if (d.block < 128) d.block = 128;
    d.block = least(d.block, d.tiles);
  }
  d.v_apart = d.block * c->c + GAP;
  d.m_apart = d.block * c->o + GAP;
  return passes(&d);
}

Method ISA_NAME(WINOGRAD_METHOD)(void) { return (Method){fits, size, pack, run}; }
