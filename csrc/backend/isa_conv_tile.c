/* The micro-kernel (see conv_kernel.h): a function for each number of rows, so that all sums are registers.
 * Kept apart from its users because it is the slowest file of all to compile. */
#include "backend/conv_kernel.h"

#include <string.h>

/* n <= LANES floats as a vector, and back. */
INLINE vf some(const float *from, long n) {
  float all[LANES] = {0};
  if (n == LANES) return vload(from);
  memcpy(all, from, (size_t)n * sizeof *all);
  return vload(all);
}

INLINE void put(float *to, vf x, long n) {
  float all[LANES];
  if (n == LANES) {
    vstore(to, x);
    return;
  }
  vstore(all, x);
  memcpy(to, all, (size_t)n * sizeof *all);
}

/* The end of tiles whose columns do not fill their vectors. */
static __attribute__((noinline)) void finish(const Tile *t, long rows, long width, const float *sums) {
  for (long j = 0; j < t->valid; j += LANES) {
    long n = t->valid - j < LANES ? t->valid - j : LANES;
    vf scale = {0}, shift = {0};
    if (t->scale) scale = some(t->scale + j, n);
    if (t->shift) shift = some(t->shift + j, n);
    for (long r = 0; r < rows; r++) {
      float *c = t->c + r * t->ldc + j;
      vf x = vload(sums + r * width + j);
      if (t->add) x += some(c, n);
      if (t->scale) x *= scale;
      if (t->shift) x += shift;
      if (t->residual) x += some(t->residual + r * t->ldc + j, n);
      put(c, clip(x, t->act), n);
    }
  }
}

#define EACH_SUM(...)                                                                                        \
  UNROLL for (int r = 0; r < rows; r++) {                                                                    \
    UNROLL for (int v = 0; v < vectors; v++) { __VA_ARGS__ }                                                 \
  }

INLINE void body(const int rows, const int vectors, const Tile *t) {
  vf sum[TILE_ROWS][2];
  const bool whole = t->valid == vectors * LANES;
  EACH_SUM(sum[r][v] = (vf){0};)
  if (whole && t->add) EACH_SUM(sum[r][v] = vload(t->c + r * t->ldc + v * LANES);)
  EACH_SUM(__builtin_prefetch(t->c + r * t->ldc + v * LANES, 1);)
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
  if (!whole) {
    float sums[TILE_ROWS * PANEL];
    EACH_SUM(vstore(sums + (r * vectors + v) * LANES, sum[r][v]);)
    finish(t, rows, vectors * LANES, sums);
    return;
  }
  if (t->scale) EACH_SUM(sum[r][v] *= vload(t->scale + v * LANES);)
  if (t->shift) EACH_SUM(sum[r][v] += vload(t->shift + v * LANES);)
  if (t->residual) EACH_SUM(sum[r][v] += vload(t->residual + r * t->ldc + v * LANES);)
  if (t->act != ACT_NONE) EACH_SUM(sum[r][v] = clip(sum[r][v], t->act);)
  EACH_SUM(vstore(t->c + r * t->ldc + v * LANES, sum[r][v]);)
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
