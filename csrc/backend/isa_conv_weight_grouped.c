/* Gradients of the weights of grouped convolutions whose groups share vectors (see conv_grouped.h): every lane
 * is an output channel; its gradient times input channel k of its group, spread, is summed over the
 * positions. A chunk has one vector of channels and some rows; the partial sums are added in order. */
#include "backend/conv_parts.h"
#include "backend/conv_grouped.h"
#include "backend/conv_window.h"
#include "core/memory.h"
#include "core/pool.h"

enum { FLOATS = 12 << 10 /* of a copied window */, ROW_CHUNKS = 16 };

typedef struct WeightGrouped {
  ConvShape s;
  const float *x, *dy;
  long c, vectors, splits, rows; /* rows: copied at a time */
  float *partial;                /* splits, vectors, kh, kw, c, LANES */
} WeightGrouped;

static bool fits(const ConvShape *s) {
  return s->groups > 1 && s->ci == s->co && LANES % (s->ci / s->groups) == 0 && s->ci % LANES == 0;
}

/* Adds the sums of one grid row for kernel places b … b+taps-1 of one kernel row; x at the first, dy: n
 * positions. */
INLINE void sum_row(const int taps, const int channels, const float *x, long step, const float *dy,
                    long apart, long n, float *out) {
  vf sum[16]; /* at most 3 x 4 or 1 x 16 */
  UNROLL for (int i = 0; i < taps * channels; i++) sum[i] = vload(out + i * LANES);
  for (long p = 0; p < n; p++, x += step, dy += apart) {
    vf g = vload(dy);
    UNROLL for (int b = 0; b < taps; b++) {
      UNROLL for (int k = 0; k < channels; k++) sum[b * channels + k] +=
          g * group_lane(x + b * LANES, channels, k);
    }
  }
  UNROLL for (int i = 0; i < taps * channels; i++) vstore(out + i * LANES, sum[i]);
}

INLINE int block(const int channels, const WeightGrouped *d, long chunk) {
  const ConvShape *s = &d->s;
  long v = chunk % d->vectors, split = chunk / d->vectors, all = s->n * s->ho;
  long window = s->kh * s->kw * channels * LANES, pixels = (s->wo - 1) * s->stride_w + conv_reach_w(s),
       line = pixels * LANES;
  float *out = d->partial + (split * d->vectors + v) * window;
  float *x = scratch(0, (size_t)(((d->rows - 1) * s->stride_h + conv_reach_h(s)) * line) * sizeof *x);
  if (!x) return 0;
  memset(out, 0, (size_t)window * sizeof *out);
  long end = all * (split + 1) / d->splits;
  for (long r = all * split / d->splits, rows; r < end;
       r += rows) { /* rows of all images; a copy is of one image */
    long image = r / s->ho, y0 = r % s->ho;
    rows = least(least(d->rows, end - r), s->ho - y0);
    copy_window(d->x + image * s->h * s->w * s->ci + v * LANES, s->h, s->w, s->ci, LANES,
                y0 * s->stride_h - s->top, -s->left, (rows - 1) * s->stride_h + conv_reach_h(s), pixels, x);
    for (long a = 0; a < s->kh; a++) {
      for (long b = 0; b < s->kw;) {
        const int three = channels <= 4 && s->dilation_w == 1 && b + 3 <= s->kw;
        float *to = out + (a * s->kw + b) * channels * LANES;
        for (long y = 0; y < rows; y++) {
          const float *row = x + (y * s->stride_h + a * s->dilation_h) * line + b * s->dilation_w * LANES;
          const float *dy = d->dy + (r + y) * s->wo * s->co + v * LANES;
          if (three)
            sum_row(3, channels <= 4 ? channels : 1, row, s->stride_w * LANES, dy, s->co, s->wo, to);
          else
            sum_row(1, channels, row, s->stride_w * LANES, dy, s->co, s->wo, to);
        }
        b += three ? 3 : 1;
      }
    }
  }
  return 1;
}

GROUPED_CHUNKS

/* From the order of the sums to co,kh,kw,c. */
static void gather(const WeightGrouped *d, float *dw, bool add) {
  const ConvShape *s = &d->s;
  long window = s->kh * s->kw * d->c;
  for (long channel = 0; channel < s->co; channel++) {
    for (long i = 0; i < window; i++) {
      float sum = add ? dw[channel * window + i] : 0;
      for (long split = 0; split < d->splits; split++)
        sum += d->partial[((split * d->vectors + channel / LANES) * window + i) * LANES + channel % LANES];
      dw[channel * window + i] = sum;
    }
  }
}

static int run(const ConvShape *s, const float *x, const float *dy, float *dw, bool add) {
  WeightGrouped d = {.s = *s, .x = x, .dy = dy, .c = s->ci / s->groups, .vectors = s->ci / LANES};
  d.splits = least(s->n * s->ho, d.vectors >= ROW_CHUNKS ? 1 : ratio_up(ROW_CHUNKS, d.vectors));
  d.rows = FLOATS / (s->stride_h * s->stride_w * s->wo * LANES);
  d.rows = d.rows < 1 ? 1 : least(d.rows, s->ho);
  size_t bytes = (size_t)(d.splits * s->co * s->kh * s->kw * d.c) * sizeof(float);
  d.partial = memory_take(bytes);
  int ok = d.partial && parallel(d.vectors * d.splits, chunk_of(d.c), &d);
  if (ok) gather(&d, dw, add);
  memory_give(d.partial, bytes);
  return ok;
}

WeightMethod ISA_NAME(weight_spread)(void) { return (WeightMethod){fits, run}; }
