/* Gradients of 3 x 3 weights by the adjoint of Winograd's F(E x E, 3 x 3): dw = Gt [ sum over tiles of (A dy
 * At) . (Bt d B) ] G (see conv_winograd.h). The two sizes of tiles are two methods from this one text, as
 * conv_winograd_method.h's are. The sum is one matrix product per frequency; tiles are transformed in passes
 * that stay in the shared cache, and a chunk of the product owns its part of the result, so nothing is added
 * across chunks. */
#include "backend/conv_parts.h"
#include "backend/conv_winograd.h"
#include "core/memory.h"
#include "core/pool.h"

#include <string.h>

enum {
  PASS_BYTES = 6 << 20, /* of transformed tiles */
  CHANNELS = 4 * PANEL, /* of a chunk of transforms */
  ROWS = 64,            /* output channels of a chunk of products */
  PAYS = 1600,          /* products saved by a pair of channels that are worth its 36 sums */
  LARGE_MAX = 64,       /* channels up to which the larger tiles pay */
};

typedef struct Adjoint {
  ConvShape s;
  const float *x, *dy;
  float *dw;
  bool add;
  long down, across, tiles, block, first;
  float *v; /* frequencies, panels of ci, block, width: Bt d B */
  float *m; /* frequencies, block, pitch: A dy At */
  float *u; /* frequencies, co, ci: the sums */
  long pitch, v_apart, m_apart, u_apart;
} Adjoint;

static long tiles_of(const ConvShape *s, long edge) {
  return s->n * ratio_up(s->ho, edge) * ratio_up(s->wo, edge);
}

/* The larger tiles as for forward: where edges do not eat up what they save, and channels are few. */
static bool fits(const ConvShape *s) {
  bool any = s->kh == 3 && s->kw == 3 && s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1 &&
             s->dilation_w == 1 && s->groups == 1 && s->ci % LANES == 0 && s->co % LANES == 0 &&
             9 * s->n * s->ho * s->wo - 36 * tiles_of(s, 4) > PAYS;
  return any && (EDGE == 4 || (s->ci <= LARGE_MAX && s->co <= LARGE_MAX &&
                               tiles_of(s, 6) * 64 * 10 < tiles_of(s, 4) * 36 * 9));
}

static long pass_tiles(const Adjoint *d) { return least(d->block, d->tiles - d->first); }

/* A y At of a tile's gradients at `at`. */
INLINE void tile_gradient(const float *const *at, long channels, float *m, long apart) {
  for (long k = 0; k < channels; k += LANES) {
    vf half[SIDE][EDGE], y[EDGE], t[SIDE];
    LINES for (int j = 0; j < EDGE; j++) {
      UNROLL for (int i = 0; i < EDGE; i++) y[i] = vload(at[i * EDGE + j] + k);
      line_output_transposed(y, t);
      UNROLL for (int i = 0; i < SIDE; i++) half[i][j] = t[i];
    }
    LINES for (int i = 0; i < SIDE; i++) {
      line_output_transposed(half[i], t);
      UNROLL for (int j = 0; j < SIDE; j++) vstore(m + (i * SIDE + j) * apart + k, t[j]);
    }
  }
}

static const float zeros[CHANNELS];

/* A chunk: one tile, CHANNELS channels of x or, after those, of dy. */
static int forth_chunk(void *arg, long chunk) {
  const Adjoint *d = arg;
  const ConvShape *s = &d->s;
  long tiles = pass_tiles(d), t = chunk % tiles, part = chunk / tiles, inputs = ratio_up(s->ci, CHANNELS);
  long image = (d->first + t) / (d->down * d->across);
  long y = (d->first + t) / d->across % d->down * EDGE, x = (d->first + t) % d->across * EDGE;
  const float *at[FREQUENCIES];
  if (part < inputs) {
    long k0 = part * CHANNELS, k1 = least(s->ci, k0 + CHANNELS);
    tile_pixels(d->x + image * s->h * s->w * s->ci + k0, s->h, s->w, s->ci, y - s->top, x - s->left, zeros,
                at);
    for (long k = k0; k < k1; k += PANEL) {
      long width = least(PANEL, s->ci - k);
      tile_input(at, k - k0, k - k0 + width, d->v + k * d->block + t * width, d->v_apart);
    }
  } else {
    long k0 = (part - inputs) * CHANNELS;
    const float *dy = d->dy + image * s->ho * s->wo * s->co + k0;
    for (long i = 0; i < EDGE; i++)
      for (long j = 0; j < EDGE; j++)
        at[i * EDGE + j] = y + i < s->ho && x + j < s->wo ? dy + ((y + i) * s->wo + x + j) * s->co : zeros;
    tile_gradient(at, least(CHANNELS, s->co - k0), d->m + t * d->pitch + k0, d->m_apart);
  }
  return 1;
}

static int multiply_chunk(void *arg, long chunk) {
  const Adjoint *d = arg;
  long f = chunk % FREQUENCIES, o0 = chunk / FREQUENCIES * ROWS, rows = least(ROWS, d->s.co - o0);
  long strips = ratio_up(rows, TILE_ROWS);
  for (long k = 0; k < d->s.ci; k += PANEL) {
    for (long i = 0; i < strips; i++) {
      long r0 = o0 + rows * i / strips, r1 = o0 + rows * (i + 1) / strips;
      const float *a = d->m + f * d->m_apart + r0;
      Tile t = {.runs = 1,
                .a = &a,
                .lda = 1,
                .step = d->pitch,
                .k = pass_tiles(d),
                .b = d->v + f * d->v_apart + k * d->block,
                .c = d->u + f * d->u_apart + r0 * d->s.ci + k,
                .ldc = d->s.ci,
                .valid = least(PANEL, d->s.ci - k),
                .add = d->first > 0};
      ISA_NAME(conv_tile)(&t, r1 - r0);
    }
  }
  return 1;
}

/* A chunk: the weights of one output channel. */
static int back_chunk(void *arg, long o) {
  const Adjoint *d = arg;
  long c = d->s.ci;
  for (long k = 0; k < c; k += LANES) {
    const float *u = d->u + o * c + k;
    float *dw = d->dw + o * 9 * c + k;
    vf half[3][SIDE], in[SIDE], out[3];
    LINES for (int j = 0; j < SIDE; j++) {
      UNROLL for (int i = 0; i < SIDE; i++) in[i] = vload(u + (i * SIDE + j) * d->u_apart);
      line_weight_transposed(in, out);
      UNROLL for (int i = 0; i < 3; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < 3; i++) {
      line_weight_transposed(half[i], out);
      UNROLL for (int j = 0; j < 3; j++) {
        float *to = dw + (i * 3 + j) * c;
        vstore(to, d->add ? vload(to) + out[j] : out[j]);
      }
    }
  }
  return 1;
}

static int run(const ConvShape *s, const float *x, const float *dy, float *dw, bool add) {
  Adjoint d = {.s = *s, .x = x, .dy = dy, .dw = dw, .add = add};
  d.down = ratio_up(s->ho, EDGE);
  d.across = ratio_up(s->wo, EDGE);
  d.tiles = s->n * d.down * d.across;
  d.block = PASS_BYTES / (FREQUENCIES * (s->ci + s->co) * (long)sizeof(float));
  d.block = least(d.tiles, d.block < 128 ? 128 : d.block);
  d.pitch = s->co + LANES;
  d.v_apart = d.block * s->ci + 3 * LANES;
  d.m_apart = d.block * d.pitch + LANES;
  d.u_apart = s->ci * s->co;
  size_t v = (size_t)(FREQUENCIES * d.v_apart) * sizeof(float),
         m = (size_t)(FREQUENCIES * d.m_apart) * sizeof(float);
  size_t u = (size_t)(FREQUENCIES * d.u_apart) * sizeof(float);
  d.v = memory_take(v);
  d.m = memory_take(m);
  d.u = memory_take(u);
  int ok = d.v && d.m && d.u;
  for (d.first = 0; ok && d.first < d.tiles; d.first += d.block)
    ok =
        parallel(pass_tiles(&d) * (ratio_up(s->ci, CHANNELS) + ratio_up(s->co, CHANNELS)), forth_chunk, &d) &&
        parallel(FREQUENCIES * ratio_up(s->co, ROWS), multiply_chunk, &d);
  ok = ok && parallel(s->co, back_chunk, &d);
  memory_give(d.v, v);
  memory_give(d.m, m);
  memory_give(d.u, u);
  return ok;
}

WeightMethod ISA_NAME(WINOGRAD_METHOD)(void) { return (WeightMethod){fits, run}; }
