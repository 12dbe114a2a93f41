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
  long runs;             /* the sum goes over `runs` starting points in a, and `k` steps from each */
  const float *const *a; /* runs: row 0; row r lies r * lda floats further */
  long lda, step, k;     /* step: floats from one k to the next */
  const float *b;        /* runs,k,width: the panel; width = LANES where valid <= LANES, else PANEL */
  float *c;              /* rows ldc floats apart, `valid` columns written */
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

/* One tile of 1 … TILE_ROWS rows (isa_conv_tile.c). */
void ISA_NAME(conv_tile)(const Tile *t, long rows);

/* Panels that cover `columns`, and the columns with what the last panel adds (it has one vector where that
 * will do). */
static inline long panels(long columns) { return (columns + PANEL - 1) / PANEL; }
static inline long panel_columns(long columns) { return (columns + LANES - 1) / LANES * LANES; }

#endif
