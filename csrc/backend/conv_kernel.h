/* The micro-kernel of all dense convolutions, for files that are compiled per instruction set: a tile of up
 * to TILE_ROWS x 2 LANES results in registers, operands read by scalar broadcast (rows) and vector load
 * (columns). The rows may lie in memory as they are (channels-last pixels, `lda` floats apart); the columns
 * come in packed panels. */
#ifndef BACKEND_CONV_KERNEL_H
#define BACKEND_CONV_KERNEL_H

#include "backend/conv.h"
#include "backend/isa.h"

/* 32 vector registers hold 14 x 2 sums, 16 hold 6 x 2. */
enum { PANEL = 2 * LANES, TILE_ROWS = LANES == 16 ? 14 : 6 };

#define INLINE static inline __attribute__((always_inline))
#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef struct Tile {
  long runs;             /* sum over `runs` starting points in a, of `k` consecutive floats each */
  const float *const *a; /* runs: row 0; row r starts lda floats further each */
  long lda, k;
  const float *b; /* runs,k,width: the panel; width = LANES where valid <= LANES, else PANEL */
  float *c;       /* rows ldc floats apart, `valid` columns written */
  long ldc, valid;
  bool add; /* to what c holds */
  /* The end of the sum (all NULL or 0: none), at this tile's column and pixel: */
  const float *scale, *shift, *residual;
  Activation act;
} Tile;

INLINE vf clip(vf x, Activation act) {
  vf zero = {0}, six = vset(6.0f);
  if (act == ACT_NONE) return x;
  x = (vf)((vi)x & ~(x < zero)); /* keeps NaN */
  return act == ACT_RELU6 ? (vf)(((vi)x & ~(x > six)) | ((vi)six & (x > six))) : x;
}

/* Columns that do not fill a vector, one by one. */
static void tile_edge(const Tile *t, int rows, const float *sums, long width) {
  for (int r = 0; r < rows; r++) {
    for (long j = 0; j < t->valid; j++) {
      float *c = t->c + r * t->ldc + j, v = sums[r * width + j];
      if (t->add) v += *c;
      if (t->scale) v *= t->scale[j];
      if (t->shift) v += t->shift[j];
      if (t->residual) v += t->residual[r * t->ldc + j];
      if (t->act != ACT_NONE && v < 0) v = 0;
      if (t->act == ACT_RELU6 && v > 6) v = 6;
      *c = v;
    }
  }
}

INLINE void tile_body(const int rows, const int vectors, const Tile *t) {
  vf sum[TILE_ROWS][2];
  UNROLL for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (vf){0};
  const float *b = t->b;
  const long lda = t->lda;
  for (long run = 0; run < t->runs; run++) {
    const float *a0 = t->a[run], *a3 = a0 + 3 * lda, *a6 = a0 + 6 * lda, *a9 = a0 + 9 * lda,
                *a12 = a0 + 12 * lda;
    for (long k = t->k; k > 0; k--) {
      vf b0 = vload(b), b1 = vectors == 2 ? vload(b + LANES) : b0;
      __builtin_prefetch(b + 32 * PANEL);
      UNROLL for (int r = 0; r < rows; r++) {
        const float *base = r < 3 ? a0 : r < 6 ? a3 : r < 9 ? a6 : r < 12 ? a9 : a12;
        vf x = vset(base[r % 3 * lda]);
        sum[r][0] += x * b0;
        if (vectors == 2) sum[r][1] += x * b1;
      }
      b += vectors * LANES;
      a0++, a3++, a6++, a9++, a12++;
    }
  }
  if (t->valid != vectors * LANES) {
    float sums[TILE_ROWS * PANEL];
    UNROLL for (int r = 0; r < rows; r++) {
      vstore(sums + r * vectors * LANES, sum[r][0]);
      if (vectors == 2) vstore(sums + r * PANEL + LANES, sum[r][1]);
    }
    tile_edge(t, rows, sums, vectors * LANES);
    return;
  }
  bool plain = !t->add && !t->scale && !t->shift && !t->residual && t->act == ACT_NONE;
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      float *c = t->c + r * t->ldc + v * LANES;
      vf y = sum[r][v];
      if (!plain) {
        if (t->add) y += vload(c);
        if (t->scale) y *= vload(t->scale + v * LANES);
        if (t->shift) y += vload(t->shift + v * LANES);
        if (t->residual) y += vload(t->residual + r * t->ldc + v * LANES);
        y = clip(y, t->act);
      }
      vstore(c, y);
    }
  }
}

#define TILE_CASE(r)                                                                                         \
  case r:                                                                                                    \
    if (t->valid > LANES)                                                                                    \
      tile_body(r, 2, t);                                                                                    \
    else                                                                                                     \
      tile_body(r, 1, t);                                                                                    \
    return;

/* One tile of 1 … TILE_ROWS rows. */
static __attribute__((noinline)) void tile(const Tile *t, long rows) {
  switch (rows) {
    TILE_CASE(1)
    TILE_CASE(2)
    TILE_CASE(3)
    TILE_CASE(4)
    TILE_CASE(5)
    TILE_CASE(6)
#if LANES == 16
    TILE_CASE(7)
    TILE_CASE(8)
    TILE_CASE(9)
    TILE_CASE(10)
    TILE_CASE(11)
    TILE_CASE(12)
    TILE_CASE(13)
    TILE_CASE(14)
#endif
  }
}

/* Panels that cover `columns`, and the columns with what the last panel adds (it has one vector where that
 * will do). */
static inline long panels(long columns) { return (columns + PANEL - 1) / PANEL; }
static inline long panel_columns(long columns) { return (columns + LANES - 1) / LANES * LANES; }

#endif
