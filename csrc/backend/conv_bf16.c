/* 1 x 1 convolutions with bfloat16 weights on CPUs that have vdpbf16ps (AVX-512 BF16): pixels are rounded to
 * bfloat16 as a chunk copies them, products of pairs are added up in float32. Twice the rate of float32 where
 * the instruction is fast (AMD Zen 4 and 5); some CPUs have it at half that rate, so it is measured first.
 * 3 x 3 kernels stay with Winograd in float32, which saves more. */
#include "backend/conv_bf16.h"

#include "core/pool.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#if defined ISA_X86 && (defined __GNUC__ && __GNUC__ >= 10 || defined __clang__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma")))
#define UNROLLED _Pragma("GCC unroll 16")

enum {
  VECTOR = 16, /* floats */
  COLUMNS = 2 * VECTOR,
  ROWS = 14,       /* of a tile */
  POSITIONS = 98,  /* pixels of a chunk */
  CHANNELS = 1024, /* of a step: a panel of weights and the pixels stay in the core's cache */
  CHAIN = 1 << 15, /* of the measurement */
};

/* ---- is it fast? ---- */

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Twelve chains that do not wait for each other. */
TARGET static double measure(bool pairs) {
  __m512 sum[12];
  __m512 x = _mm512_set1_ps(1e-3f);
  double start = seconds();
  UNROLLED for (int i = 0; i < 12; i++) sum[i] = x;
  for (int k = 0; k < CHAIN; k++) {
    if (pairs)
      UNROLLED for (int i = 0; i < 12; i++) sum[i] = _mm512_dpbf16_ps(sum[i], (__m512bh)x, (__m512bh)x);
    else
      UNROLLED for (int i = 0; i < 12; i++) sum[i] = _mm512_fmadd_ps(sum[i], x, x);
    __asm__ volatile("" : "+v"(x));
  }
  UNROLLED for (int i = 1; i < 12; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  volatile float keep = _mm512_reduce_add_ps(sum[0]);
  (void)keep;
  return seconds() - start;
}

static bool fast;

/* An instruction of pairs does twice the work: it wins from more than half the rate on. */
static void find_out(void) {
  if (isa_level() != ISA_AVX512 || !__builtin_cpu_supports("avx512bf16")) return;
  double pairs = 1, singles = 1;
  for (int i = 0; i < 5; i++) { /* the least of five: somebody else may use the core */
    double p = measure(true), s = measure(false);
    pairs = p < pairs ? p : pairs;
    singles = s < singles ? s : singles;
  }
  fast = pairs < 1.5 * singles;
}

bool bf16_is_fast(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_out);
  return fast;
}

/* ---- the method ---- */

static long columns_of(long o) { return ratio_up(o, VECTOR) * VECTOR; }

static bool fits(const Corr *c) {
  return c->kh == 1 && c->kw == 1 && c->top == 0 && c->left == 0 && (c->gh - 1) * c->step_h < c->h &&
         (c->gw - 1) * c->step_w < c->w && c->c % 2 == 0;
}

static size_t size(const Corr *c) { return (size_t)(c->groups * columns_of(c->o) * c->c / 2); }

/* Order: group, panel of columns, pair of channels, column, channel of the pair. */
TARGET static int pack(const Corr *c, float *packed) {
  unsigned short *to = (unsigned short *)packed;
  for (long g = 0; g < c->groups; g++)
    for (long o0 = 0; o0 < c->o; o0 += COLUMNS) {
      long width = least(COLUMNS, columns_of(c->o) - o0);
      for (long k = 0; k < c->c; k += 2)
        for (long o = o0; o < o0 + width; o++)
          for (long i = 0; i < 2; i++) {
            float w = o < c->o ? c->weight[g * c->w_group + o * c->w_out + (k + i) * c->w_in] : 0;
            unsigned bits;
            memcpy(&bits, &w, sizeof bits);
            *to++ = (unsigned short)(bits >> 16); /* exact: it was bfloat16 */
          }
    }
  return 1;
}

typedef struct Tile {
  const unsigned *a; /* rows of pairs */
  long lda, pairs;
  const unsigned *b; /* pairs, width */
  float *c;
  long ldc, valid;
  bool add;
  const float *scale, *shift, *residual;
  Activation act;
} Tile;

#define EACH_SUM(...)                                                                                        \
  UNROLLED for (int r = 0; r < rows; r++) {                                                                  \
    UNROLLED for (int v = 0; v < vectors; v++) { __VA_ARGS__ }                                               \
  }

TARGET static inline __attribute__((always_inline)) void body(const int rows, const int vectors,
                                                              const Tile *t) {
  __m512 sum[ROWS][2];
  __mmask16 mask[2];
  for (int v = 0; v < vectors; v++) {
    long left = t->valid - v * VECTOR;
    mask[v] = (__mmask16)(left >= VECTOR ? 0xffff : (1u << left) - 1);
  }
  EACH_SUM(sum[r][v] =
               t->add ? _mm512_maskz_loadu_ps(mask[v], t->c + r * t->ldc + v * VECTOR) : _mm512_setzero_ps();)
  const unsigned *b = t->b;
  const long lda = t->lda;
  const unsigned *a0 = t->a, *a3 = a0 + 3 * lda, *a6 = a0 + 6 * lda, *a9 = a0 + 9 * lda, *a12 = a0 + 12 * lda;
  for (long k = 0; k < t->pairs; k++) {
    __m512bh b0 = (__m512bh)_mm512_loadu_si512(b);
    __m512bh b1 = vectors == 2 ? (__m512bh)_mm512_loadu_si512(b + VECTOR) : b0;
    __builtin_prefetch(b + 32 * COLUMNS);
    UNROLLED for (int r = 0; r < rows; r++) {
      const unsigned *base = r < 3 ? a0 : r < 6 ? a3 : r < 9 ? a6 : r < 12 ? a9 : a12;
      __m512bh x = (__m512bh)_mm512_set1_epi32((int)base[r % 3 * lda]);
      sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, b0);
      if (vectors == 2) sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, b1);
    }
    b += vectors * VECTOR;
    a0++, a3++, a6++, a9++, a12++;
  }
  if (t->scale)
    EACH_SUM(sum[r][v] = _mm512_mul_ps(sum[r][v], _mm512_maskz_loadu_ps(mask[v], t->scale + v * VECTOR));)
  if (t->shift)
    EACH_SUM(sum[r][v] = _mm512_add_ps(sum[r][v], _mm512_maskz_loadu_ps(mask[v], t->shift + v * VECTOR));)
  if (t->residual)
    EACH_SUM(sum[r][v] = _mm512_add_ps(
                 sum[r][v], _mm512_maskz_loadu_ps(mask[v], t->residual + r * t->ldc + v * VECTOR));)
  __m512 zero = _mm512_setzero_ps(), six = _mm512_set1_ps(6);
  if (t->act != ACT_NONE) EACH_SUM(sum[r][v] = _mm512_max_ps(zero, sum[r][v]);) /* keeps NaN */
  if (t->act == ACT_RELU6) EACH_SUM(sum[r][v] = _mm512_min_ps(six, sum[r][v]);)
  EACH_SUM(_mm512_mask_storeu_ps(t->c + r * t->ldc + v * VECTOR, mask[v], sum[r][v]);)
}

#define TILE(r)                                                                                              \
  TARGET static __attribute__((noinline)) void wide_##r(const Tile *t) { body(r, 2, t); }                    \
  TARGET static __attribute__((noinline)) void narrow_##r(const Tile *t) { body(r, 1, t); }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
TILE(13)
TILE(14)

static void (*const kernels[2][ROWS])(const Tile *) = {
    {narrow_1, narrow_2, narrow_3, narrow_4, narrow_5, narrow_6, narrow_7, narrow_8, narrow_9, narrow_10,
     narrow_11, narrow_12, narrow_13, narrow_14},
    {wide_1, wide_2, wide_3, wide_4, wide_5, wide_6, wide_7, wide_8, wide_9, wide_10, wide_11, wide_12,
     wide_13, wide_14}};

typedef struct Job {
  Corr c;
  const unsigned *packed;
  long pixels, block, blocks, width, widths, step; /* grid pixels, of a chunk; columns of a chunk; channels */
} Job;

/* Rounds the pixels' channels k0 … k0+ks-1 to bfloat16, `pitch` pairs from one pixel to the next. */
TARGET static void round_pixels(const Corr *c, const float *x, long first, long count, long ks, unsigned *to,
                                long pitch) {
  for (long i = first; i < first + count; i++, to += pitch) {
    long image = i / (c->gh * c->gw), y = i / c->gw % c->gh, column = i % c->gw, k = 0;
    const float *from = x + ((image * c->h + y * c->step_h) * c->w + column * c->step_w) * c->pixel;
    unsigned short *out = (unsigned short *)to;
    for (; k + 2 * VECTOR <= ks; k += 2 * VECTOR)
      _mm512_storeu_si512(out + k, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + k + VECTOR),
                                                                _mm512_loadu_ps(from + k)));
    for (; k < ks; k += VECTOR) {
      __mmask16 some = (__mmask16)(ks - k >= VECTOR ? 0xffff : (1u << (ks - k)) - 1);
      _mm256_mask_storeu_epi16(out + k, some,
                               (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, from + k)));
    }
  }
}

/* Where the result of grid pixel i is, without its channel. */
static long place(const Corr *c, long i) {
  return i / (c->gh * c->gw) * c->y_image + i / c->gw % c->gh * c->y_row + i % c->gw * c->y_col;
}

static int chunk_run(void *arg, long chunk) {
  const Job *j = arg;
  const Corr *c = &j->c;
  long q = chunk % j->widths, block = chunk / j->widths % j->blocks, g = chunk / j->widths / j->blocks;
  long p0 = block * j->block, p1 = least(j->pixels, p0 + j->block);
  long o0 = q * j->width, o1 = least(c->o, o0 + j->width), pitch = least(j->step, c->c) / 2 + VECTOR;
  unsigned *rows = scratch(0, (size_t)((p1 - p0) * pitch) * sizeof *rows);
  if (!rows) return 0;
  for (long k = 0; k < c->c; k += j->step) {
    long ks = least(j->step, c->c - k);
    round_pixels(c, c->x + g * c->x_group + k, p0, p1 - p0, ks, rows, pitch);
    bool last = k + ks == c->c;
    for (long o = o0; o < o1; o += COLUMNS) {
      long width = least(COLUMNS, columns_of(c->o) - o), channel = g * c->o + o;
      const unsigned *b = j->packed + (g * columns_of(c->o) + o) * (c->c / 2) + k / 2 * width;
      for (long p = p0, n; p < p1; p += n) { /* a tile's pixels lie in one row of the grid */
        n = least(p1 - p, c->gw - p % c->gw);
        n = n > ROWS ? ratio_up(n, ratio_up(n, ROWS)) : n;
        long at = place(c, p) + channel;
        Tile t = {.a = rows + (p - p0) * pitch,
                  .lda = pitch,
                  .pairs = ks / 2,
                  .b = b,
                  .c = c->y + at,
                  .ldc = c->y_col,
                  .valid = least(width, o1 - o),
                  .add = c->add || k > 0};
        if (last) {
          t.scale = c->scale ? c->scale + channel : NULL;
          t.shift = c->shift ? c->shift + channel : NULL;
          t.residual = c->residual ? c->residual + at : NULL;
          t.act = c->act;
        }
        kernels[width > VECTOR][n - 1](&t);
      }
    }
  }
  return 1;
}

static int run(const Corr *c, const float *packed) {
  Job j = {.c = *c, .packed = (const unsigned *)packed, .step = CHANNELS};
  j.pixels = c->n * c->gh * c->gw;
  if (c->step_h == 1 && c->step_w == 1 && c->gh == c->h && c->gw == c->w && c->y_row == c->gw * c->y_col &&
      c->y_image == c->gh * c->y_row) { /* all images are one row of pixels */
    j.c.gw = j.c.w = j.pixels;
    j.c.n = j.c.gh = j.c.h = 1;
  }
  j.block = ratio_up(j.pixels, ratio_up(j.pixels, POSITIONS));
  j.blocks = ratio_up(j.pixels, j.block);
  long panels = ratio_up(c->o, COLUMNS), widths = panels, others = j.blocks * c->groups;
  while (widths > 2 && others * ratio_up(panels, widths) < 16) widths = ratio_up(widths, 2);
  j.width = widths * COLUMNS;
  j.widths = ratio_up(c->o, j.width);
  return parallel(others * j.widths, chunk_run, &j);
}

Method conv_bf16(void) { return (Method){fits, size, pack, run}; }

#else

bool bf16_is_fast(void) { return false; }
static bool never(const Corr *c) { return (void)c, false; }
Method conv_bf16(void) { return (Method){.fits = never}; }

#endif
