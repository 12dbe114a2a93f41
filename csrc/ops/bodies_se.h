/* The passes over a map in which SiLU stands between batch norm and the gate of squeeze and excitation: for
 * every channel v = scale x + shift, u = silu(v), y = gate u. u stands in y's place until the gate is known;
 * backward finds it again. Where nothing stands between, batch norm's own passes do. */
#ifndef OPS_BODIES_SE_H
#define OPS_BODIES_SE_H

#include "ops/bodies_math.h"
#include "ops/hot.h"
#include "ops/norm_passes.h"

/* u, and sum[channels] += u */
HOT_DECLARE(void, se_pool, long rows, long channels, const real *x, const SeLines *l, real *u, double *sum);
/* y = gate u, in one go */
HOT_DECLARE(void, se_apply, long rows, long channels, const real *x, const SeLines *l, real *y);
/* y = gate y */
HOT_DECLARE(void, se_gate, long rows, long channels, const real *gate, real *y);
/* sums[SE_SUMS][channels] += … */
HOT_DECLARE(void, se_sums, long rows, long channels, const real *x, const real *dy, const SeLines *l,
            double *sums);
/* dx (+)= scale silu'(v) (gate dy + pool) + slope (x - mean) + offset */
HOT_DECLARE(void, se_back, long rows, long channels, const real *x, const real *dy, const SeLines *l,
            real *dx, bool add);

/* ---- the gate itself, rows being images ---- */
/* before += bias; hidden = silu or relu of it */
HOT_DECLARE(void, se_hidden, long rows, long squeezed, const real *bias, bool silu, real *before,
            real *hidden);
/* gate = sigmoid(gate + bias) */
HOT_DECLARE(void, se_open, long rows, long channels, const real *bias, real *gate);

#ifdef HOT_BODIES
/* So many rows at a time: their sum goes to the one in double. So many channels: their sums stay in the
 * first-level cache. */
enum { SE_ROWS = 8, SE_BLOCK = 128 };

HOT_DEFINE(void, se_pool, long rows, long channels, const real *restrict x, const SeLines *l,
           real *restrict u, double *restrict sum) {
  for (long at = 0; at < channels; at += SE_BLOCK) {
    long n = channels - at < SE_BLOCK ? channels - at : SE_BLOCK;
    const real *restrict scale = l->scale + at, *restrict shift = l->shift + at;
    for (long r = 0; r < rows; r += SE_ROWS) {
      real s[SE_BLOCK] = {0};
      for (long k = r; k < rows && k < r + SE_ROWS; k++) {
        const real *restrict own = x + k * channels + at;
        real *restrict to = u + k * channels + at;
        for (long i = 0; i < n; i++) {
          real v = own[i] * scale[i] + shift[i];
          to[i] = SILU(v);
          s[i] += to[i];
        }
      }
      for (long i = 0; i < n; i++) sum[at + i] += (double)s[i];
    }
  }
}

HOT_DEFINE(void, se_apply, long rows, long channels, const real *restrict x, const SeLines *l,
           real *restrict y) {
  const real *restrict scale = l->scale, *restrict shift = l->shift, *restrict gate = l->gate;
  for (long r = 0; r < rows; r++, x += channels, y += channels)
    for (long i = 0; i < channels; i++) {
      real v = x[i] * scale[i] + shift[i];
      y[i] = SILU(v) * gate[i];
    }
}

HOT_DEFINE(void, se_gate, long rows, long channels, const real *restrict gate, real *restrict y) {
  for (long r = 0; r < rows; r++, y += channels)
    for (long i = 0; i < channels; i++) y[i] *= gate[i];
}

HOT_DEFINE(void, se_sums, long rows, long channels, const real *restrict x, const real *restrict dy,
           const SeLines *l, double *restrict sums) {
  for (long at = 0; at < channels; at += SE_BLOCK) {
    long n = channels - at < SE_BLOCK ? channels - at : SE_BLOCK;
    const real *restrict mean = l->mean + at, *restrict scale = l->scale + at,
                         *restrict shift = l->shift + at;
    for (long r = 0; r < rows; r += SE_ROWS) {
      real s[SE_SUMS][SE_BLOCK] = {{0}};
      for (long k = r; k < rows && k < r + SE_ROWS; k++) {
        const real *restrict own = x + k * channels + at, *restrict d = dy + k * channels + at;
        for (long i = 0; i < n; i++) {
          real v = own[i] * scale[i] + shift[i], open = SIGMOID(v), a = SILU_SLOPE(v, open),
               off = own[i] - mean[i];
          s[SE_DY_U][i] += d[i] * (v * open);
          s[SE_DY_A][i] += d[i] * a;
          s[SE_DY_AX][i] += d[i] * a * off;
          s[SE_A][i] += a;
          s[SE_AX][i] += a * off;
        }
      }
      for (int j = 0; j < SE_SUMS; j++)
        for (long i = 0; i < n; i++) sums[j * channels + at + i] += (double)s[j][i];
    }
  }
}

static inline __attribute__((always_inline)) void se_back_rows(const bool add, long rows, long channels,
                                                               const real *restrict x,
                                                               const real *restrict dy, const SeLines *l,
                                                               real *restrict dx) {
  const real *restrict mean = l->mean, *restrict scale = l->scale, *restrict shift = l->shift;
  const real *restrict gate = l->gate, *restrict pool = l->pool;
  const real *restrict slope = l->slope, *restrict offset = l->offset;
  for (long r = 0; r < rows; r++, x += channels, dy += channels, dx += channels)
    for (long i = 0; i < channels; i++) {
      real v = x[i] * scale[i] + shift[i], s = SIGMOID(v), a = SILU_SLOPE(v, s);
      real d = scale[i] * a * (gate[i] * dy[i] + pool[i]) + slope[i] * (x[i] - mean[i]) + offset[i];
      dx[i] = add ? dx[i] + d : d;
    }
}

HOT_DEFINE(void, se_back, long rows, long channels, const real *x, const real *dy, const SeLines *l, real *dx,
           bool add) {
  add ? se_back_rows(true, rows, channels, x, dy, l, dx) : se_back_rows(false, rows, channels, x, dy, l, dx);
}

HOT_DEFINE(void, se_hidden, long rows, long squeezed, const real *restrict bias, bool silu,
           real *restrict before, real *restrict hidden) {
  for (long r = 0; r < rows; r++, before += squeezed, hidden += squeezed) {
    for (long i = 0; i < squeezed; i++) before[i] += bias[i];
    if (silu)
      for (long i = 0; i < squeezed; i++) hidden[i] = SILU(before[i]);
    else
      for (long i = 0; i < squeezed; i++) hidden[i] = before[i] < 0 ? 0 : before[i];
  }
}

HOT_DEFINE(void, se_open, long rows, long channels, const real *restrict bias, real *restrict gate) {
  for (long r = 0; r < rows; r++, gate += channels)
    for (long i = 0; i < channels; i++) gate[i] = SIGMOID(gate[i] + bias[i]);
}
#endif

#endif
