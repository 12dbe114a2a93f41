/* The micro-kernel (see conv_kernel.h): a function for each number of rows, so that all sums are registers.
 * Kept apart from its users because it is the slowest file of all to compile. */
#include "backend/conv_kernel.h"

/* What is not a plain store: by way of memory, one column at a time where they do not fill a vector. */
static __attribute__((noinline)) void finish(const Tile *t, long rows, long width, const float *sums) {
  for (long r = 0; r < rows; r++, sums += width) {
    float *c = t->c + r * t->ldc;
    const float *residual = t->residual ? t->residual + r * t->ldc : NULL;
    long j = 0;
    for (; j + LANES <= t->valid; j += LANES) {
      vf v = vload(sums + j);
      if (t->add) v += vload(c + j);
      if (t->scale) v *= vload(t->scale + j);
      if (t->shift) v += vload(t->shift + j);
      if (residual) v += vload(residual + j);
      vstore(c + j, clip(v, t->act));
    }
    for (; j < t->valid; j++) {
      float v = sums[j];
      if (t->add) v += c[j];
      if (t->scale) v *= t->scale[j];
      if (t->shift) v += t->shift[j];
      if (residual) v += residual[j];
      if (t->act != ACT_NONE && v < 0) v = 0;
      if (t->act == ACT_RELU6 && v > 6) v = 6;
      c[j] = v;
    }
  }
}

INLINE void body(const int rows, const int vectors, const Tile *t) {
  vf sum[TILE_ROWS][2];
  const bool whole = t->valid == vectors * LANES;
  const bool plain = whole && !t->scale && !t->shift && !t->residual && t->act == ACT_NONE;
  UNROLL for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (vf){0};
  if (plain && t->add) {
    UNROLL for (int r = 0; r < rows; r++) {
      sum[r][0] = vload(t->c + r * t->ldc);
      if (vectors == 2) sum[r][1] = vload(t->c + r * t->ldc + LANES);
    }
  }
  const float *b = t->b;
  const long lda = t->lda, step = t->step;
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
      a0 += step, a3 += step, a6 += step, a9 += step, a12 += step;
    }
  }
  float sums[TILE_ROWS * PANEL];
  float *c = plain ? t->c : sums;
  const long ldc = c == sums ? vectors * LANES : t->ldc;
  UNROLL for (int r = 0; r < rows; r++) {
    vstore(c + r * ldc, sum[r][0]);
    if (vectors == 2) vstore(c + r * ldc + LANES, sum[r][1]);
  }
  if (c == sums) finish(t, rows, vectors * LANES, sums);
}

#define TILE(r)                                                                                              \
  static __attribute__((noinline)) void wide_##r(const Tile *t) { body(r, 2, t); }                           \
  static __attribute__((noinline)) void narrow_##r(const Tile *t) { body(r, 1, t); }

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#if LANES == 16
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
TILE(13)
TILE(14)
#endif

void ISA_NAME(conv_tile)(const Tile *t, long rows) {
  static void (*const kernels[2][TILE_ROWS])(const Tile *) = {
#if LANES == 16
    {narrow_1, narrow_2, narrow_3, narrow_4, narrow_5, narrow_6, narrow_7, narrow_8, narrow_9, narrow_10,
     narrow_11, narrow_12, narrow_13, narrow_14},
    {wide_1, wide_2, wide_3, wide_4, wide_5, wide_6, wide_7, wide_8, wide_9, wide_10, wide_11, wide_12,
     wide_13, wide_14},
#else
    {narrow_1, narrow_2, narrow_3, narrow_4, narrow_5, narrow_6},
    {wide_1, wide_2, wide_3, wide_4, wide_5, wide_6},
#endif
  };
  kernels[t->valid > LANES][rows - 1](t);
}
