/* The inner loops of responsibility maps: distances, softmax and mean over gaps of a row in one pass, nothing
 * stored but the map. Memory traffic is then that of reading the flow once, and a new temperature costs no
 * more than that. Compiled once per instruction set. */
#include "motion/isa_responsibility.h"

#include <math.h>
#include <string.h>

#if defined __SSE2__
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE vf pick(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }

#if LANES == 16
INLINE vf rough_inverse_root(vf x) { return (vf)_mm512_rsqrt14_ps((__m512)x); }
INLINE vf smaller(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vf larger(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
#elif LANES == 8
INLINE vf rough_inverse_root(vf x) { return (vf)_mm256_rsqrt_ps((__m256)x); }
INLINE vf smaller(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vf larger(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
#else
#if defined __SSE2__
INLINE vf rough_inverse_root(vf x) { return (vf)_mm_rsqrt_ps((__m128)x); }
#else
INLINE vf rough_inverse_root(vf x) {
  for (int i = 0; i < LANES; i++) x[i] = 1 / sqrtf(x[i]);
  return x;
}
#endif
INLINE vf smaller(vf a, vf b) { return pick(a < b, a, b); }
INLINE vf larger(vf a, vf b) { return pick(a > b, a, b); }
#endif

#if LANES == 16
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define STEPS                                                                                                \
  { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }
#elif LANES == 8
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#define STEPS                                                                                                \
  { 0, 1, 2, 3, 4, 5, 6, 7 }
#else
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#define STEPS                                                                                                \
  { 0, 1, 2, 3 }
#endif

/* √q / w for q > 0, as q / √(q w²): an estimate of the inverse root and one Newton step, which together are
 * good to 3e-7 and cheaper than a division and a root. For w <= 0 and wherever a number overflows the step
 * makes a NaN, which the last min replaces by `lost`. */
INLINE vf root_over(vf q, vf w, float lost) {
  vf z = q * (w * larger(w, vset(0)));
  vf y = rough_inverse_root(z), d = q * y;
  return smaller(d + (d * 0.5f) * (1 - z * y * y), vset(lost));
}

/* 2^x for x <= 0: the integer part goes to the exponent, the rest to a polynomial on [-1/2, 1/2] (minimax,
 * relative error below 2e-7 with rounding). Below -127 it is exactly 0. */
INLINE vf power2(vf x) {
  const vf magic = vset(12582912.0f); /* 1.5 × 2^23: adding it rounds to an integer, in the low bits */
  x = larger(x, vset(-127));
  vf whole = x + magic, f = x - (whole - magic);
  vf f2 = f * f, high = f * 1.32647206e-3f + 9.67151350e-3f, mid = f * 5.55073377e-2f + 2.40222421e-1f;
  vf p = (high * f2 + mid) * f2 + (f * 6.93146978e-1f + 1.0f);
  return (vf)((vi)p + ((vi)whole << 23));
}

/* What the kernels hold of a row at a time: everything stays in the first-level cache, and each loop below is
 * short enough for the processor to overlap many of its turns. */
enum { TILE = 128, VECTORS = TILE / LANES };

typedef struct Tile {
  vf x[VECTORS], u[VECTORS], v[VECTORS]; /* place and flow */
  vf d[HANDS_MAX + 1][VECTORS];          /* distances, background last */
  vf sum[HANDS_MAX + 1][VECTORS];        /* responsibilities, added up over gaps */
} Tile;

/* Apart into u and v, in the order of STEPS. */
INLINE void unzip(Tile *t, long i, const float *flow, float scale) {
  vf a = vload(flow) * scale, b = vload(flow + LANES) * scale;
  t->u[i] = __builtin_shufflevector(a, b, EVEN);
  t->v[i] = __builtin_shufflevector(a, b, ODD);
}

/* Flow of `count` pixels, scaled; the rest of the last vector is 0. */
INLINE void load_flow(Tile *t, const float *flow, long count, float scale) {
  const long whole = count / LANES, rest = count % LANES;
  for (long i = 0; i < whole; i++, flow += 2 * LANES) {
    __builtin_prefetch(flow +
                       2 * TILE); /* the next tile: the processor does not foresee so many short streams */
    unzip(t, i, flow, scale);
  }
  if (!rest) return;
  float tail[2 * LANES] = {0};
  memcpy(tail, flow, (size_t)rest * 2 * sizeof *flow);
  unzip(t, whole, tail, scale);
}

/* Distances to one motion. */
INLINE void plane_distances(Tile *t, const RowPlane *p, long vectors, float lost, vf *d) {
  const RowPlane r = *p;
  const vf floor2 = vset(1e-20f); /* so that no root is of 0 */
  for (long i = 0; i < vectors; i++) {
    vf xi = t->x[i] - r.cx, s = xi * r.gx + r.s0, w = s + 1;
    vf dx = xi * r.xx + r.x0 - xi * s - t->u[i] * w;
    vf dy = xi * r.yx + r.y0 - r.eta * s - t->v[i] * w;
    d[i] = root_over(dx * dx + (dy * dy + floor2), w, lost);
  }
}

INLINE void still_distances(Tile *t, long vectors, vf *d) {
  for (long i = 0; i < vectors; i++)
    d[i] = root_over(t->u[i] * t->u[i] + (t->v[i] * t->v[i] + 1e-20f), vset(1), LOST_GROUND);
}

/* Distances to all hands and the background in one gap. */
INLINE void distances(Tile *t, const RowJob *job, int gap, long at, long count) {
  const int n = job->hands;
  const RowPlane *p = job->plane + gap * (job->still ? n : n + 1);
  const long vectors = (count + LANES - 1) / LANES;
  load_flow(t, job->flow[gap] + 2 * at, count, job->scale);
  for (int k = 0; k < n; k++) plane_distances(t, p + k, vectors, LOST_HAND, t->d[k]);
  if (job->still)
    still_distances(t, vectors, t->d[n]);
  else
    plane_distances(t, p + n, vectors, LOST_GROUND, t->d[n]);
}

/* Adds share × softmax to the sums (the first gap: sets them); distances come scaled for powers of two. Two
 * loops: one would wait on its own division. */
INLINE void softmax(Tile *t, int n, long vectors, float share, bool first) {
  vf total[VECTORS];
  for (long i = 0; i < vectors; i++) {
    vf least = t->d[n][i], sum;
#pragma GCC unroll 4
    for (int k = 0; k < n; k++) least = smaller(least, t->d[k][i]);
    t->d[n][i] = sum = power2(least - t->d[n][i]);
#pragma GCC unroll 4
    for (int k = 0; k < n; k++) sum += t->d[k][i] = power2(least - t->d[k][i]);
    total[i] = sum;
  }
  for (long i = 0; i < vectors; i++) {
    vf part = share / total[i];
#pragma GCC unroll 5
    for (int k = 0; k <= n; k++) t->sum[k][i] = first ? t->d[k][i] * part : t->sum[k][i] + t->d[k][i] * part;
  }
}

INLINE void places(Tile *t, long at, float scale) {
  const vi steps = STEPS;
  for (long i = 0; i < VECTORS; i++)
    t->x[i] = __builtin_convertvector(steps + (int)(at + i * LANES), vf) * scale;
}

/* One pixel's values next to each other, as images are laid out. */
INLINE void zip(vf (*value)[VECTORS], int channels, long count, float *out) {
  for (long i = 0; i < count; i++)
    for (int k = 0; k < channels; k++) out[i * channels + k] = ((const float *)value[k])[i];
}

INLINE void map_row(const RowJob *job, int n, float *out) {
  const float share = 1.0f / (float)job->gaps;
  Tile t;
  for (long at = 0; at < job->width; at += TILE) {
    const long count = job->width - at < TILE ? job->width - at : TILE, vectors = (count + LANES - 1) / LANES;
    places(&t, at, job->scale);
    distances(&t, job, 0, at, count);
    softmax(&t, n, vectors, share, true);
    for (int g = 1; g < job->gaps; g++) {
      distances(&t, job, g, at, count);
      softmax(&t, n, vectors, share, false);
    }
    zip(t.sum, n + 1, count, out + at * (n + 1));
  }
}

void ISA_NAME(responsibility_row)(const RowJob *job, float *out) {
  switch (job->hands) { /* the usual numbers of hands: unrolled, in registers */
  case 1: map_row(job, 1, out); break;
  case 2: map_row(job, 2, out); break;
  default: map_row(job, job->hands, out);
  }
}

void ISA_NAME(residual_row)(const RowJob *job, int gap, float *out) {
  const int n = job->hands;
  Tile t;
  for (long at = 0; at < job->width; at += TILE) {
    const long count = job->width - at < TILE ? job->width - at : TILE, vectors = (count + LANES - 1) / LANES;
    places(&t, at, job->scale);
    distances(&t, job, gap, at, count);
    for (int k = 0; k <= n; k++)
      for (long i = 0; i < vectors; i++) t.d[k][i] = pick(t.d[k][i] < LOST_GROUND, t.d[k][i], vset(INFINITY));
    zip(t.d, n + 1, count, out + at * (n + 1));
  }
}

void ISA_NAME(closeness_row)(long width, float y, long corners, const float *hull, float scale,
                             float *factor) {
  const vi steps = STEPS;
  for (long at = 0; at < width; at += LANES) {
    vf x = __builtin_convertvector(steps + (int)at, vf), nearest = vset(INFINITY);
    vi outside = corners < 3 ? x == x : x != x;
    for (long i = 0; i < corners; i++) {
      const float *a = hull + 2 * i, *b = hull + 2 * ((i + 1) % corners);
      float ex = b[0] - a[0], ey = b[1] - a[1], square = ex * ex + ey * ey;
      float inverse = square > 0 ? 1 / square : 0;
      vf px = x - a[0], py = vset(y - a[1]);
      outside |= ex * py - ey * px < 0;
      vf t = smaller(larger((px * ex + py * ey) * inverse, vset(0)), vset(1));
      px -= t * ex, py -= t * ey;
      nearest = smaller(nearest, px * px + py * py);
    }
    vf value = power2(pick(outside, root_over(nearest + 1e-20f, vset(1), LOST_GROUND), vset(0)) * scale);
    if (width - at >= LANES)
      vstore(factor + at, value);
    else
      memcpy(factor + at, &value, (size_t)(width - at) * sizeof *factor);
  }
}
