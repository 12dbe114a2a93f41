/* Convex upsampling (Teed and Deng, ECCV 2020, section 3.3): a pixel of the large image is a weighted mean of the
 * 3 x 3 pixels around its own in the small one, zeros outside; the weights, of which each of the factor^2 pixels that
 * come of one has nine, are the softmax of a mask's numbers. A pixel of the mask holds factor^2 numbers for the
 * first neighbour, then for the next, by rows. Index i is a pixel of the small image. */
#ifndef OPS_BODIES_CONVEX_H
#define OPS_BODIES_CONVEX_H

#include "ops/bodies_math.h"
#include "ops/hot.h"

enum { CONVEX_AROUND = 9, CONVEX_FACTOR_MAX = 16 };

typedef struct Convex {
  long h, w, c, factor; /* of the small image */
} Convex;

/* Where neighbour k of pixel i is: its index among all pixels, or -1 outside of the image. */
BODY long convex_neighbour(const Convex *g, long i, int k) {
  long x = i % g->w + k % 3 - 1, y = i / g->w % g->h + k / 3 - 1;
  return x < 0 || y < 0 || x >= g->w || y >= g->h ? -1 : i + (k / 3 - 1) * g->w + k % 3 - 1;
}

/* The first number of small pixel i's large pixel `at` (of factor^2, by rows). */
BODY long convex_target(const Convex *g, long i, long at) {
  long x = i % g->w * g->factor + at % g->factor, y = i / g->w * g->factor + at / g->factor;
  return (y * g->w * g->factor + x) * g->c;
}

#ifndef ON_CUDA

/* The weights of a pixel of the mask. */
BODY void convex_weights(long square, const real *restrict mask, real *restrict weight) {
  real most[CONVEX_FACTOR_MAX * CONVEX_FACTOR_MAX], sum[CONVEX_FACTOR_MAX * CONVEX_FACTOR_MAX];
  for (long p = 0; p < square; p++) most[p] = mask[p], sum[p] = 0;
  for (int k = 1; k < CONVEX_AROUND; k++)
    for (long p = 0; p < square; p++)
      most[p] = mask[k * square + p] > most[p] ? mask[k * square + p] : most[p];
  for (int k = 0; k < CONVEX_AROUND; k++)
    for (long p = 0; p < square; p++) {
      real e = EXP(mask[k * square + p] - most[p]);
      weight[k * square + p] = e;
      sum[p] += e;
    }
  for (int k = 0; k < CONVEX_AROUND; k++)
    for (long p = 0; p < square; p++) weight[k * square + p] /= sum[p];
}

struct convex_args {
  const real *x;
  const real *mask;
  real *y;
  Convex g;
};

BODY void convex_body(const struct convex_args *a, long i) {
  const Convex *g = &a->g;
  long square = g->factor * g->factor;
  real weight[CONVEX_AROUND * CONVEX_FACTOR_MAX * CONVEX_FACTOR_MAX];
  convex_weights(square, a->mask + i * CONVEX_AROUND * square, weight);
  for (long p = 0; p < square; p++) {
    real *to = a->y + convex_target(g, i, p);
    for (long c = 0; c < g->c; c++) to[c] = 0;
    for (int k = 0; k < CONVEX_AROUND; k++) {
      long j = convex_neighbour(g, i, k);
      for (long c = 0; j >= 0 && c < g->c; c++) to[c] += weight[k * square + p] * a->x[j * g->c + c];
    }
  }
}
HOT_KERNEL(convex)

/* The gradient of the mask: of a softmax whose weights have dy times the neighbours as theirs. */
struct convex_mask_args {
  const real *x;
  const real *mask;
  const real *dy;
  real *dmask;
  bool add;
  Convex g;
};

BODY void convex_mask_body(const struct convex_mask_args *a, long i) {
  const Convex *g = &a->g;
  long square = g->factor * g->factor;
  real weight[CONVEX_AROUND * CONVEX_FACTOR_MAX * CONVEX_FACTOR_MAX];
  real *to = a->dmask + i * CONVEX_AROUND * square;
  convex_weights(square, a->mask + i * CONVEX_AROUND * square, weight);
  for (long p = 0; p < square; p++) {
    const real *dy = a->dy + convex_target(g, i, p);
    real slope[CONVEX_AROUND] = {0}, mean = 0;
    for (int k = 0; k < CONVEX_AROUND; k++) {
      long j = convex_neighbour(g, i, k);
      for (long c = 0; j >= 0 && c < g->c; c++) slope[k] += dy[c] * a->x[j * g->c + c];
      mean += slope[k] * weight[k * square + p];
    }
    for (int k = 0; k < CONVEX_AROUND; k++) {
      real d = weight[k * square + p] * (slope[k] - mean);
      to[k * square + p] = (a->add ? to[k * square + p] : 0) + d;
    }
  }
}
HOT_KERNEL(convex_mask)

/* The gradient of a small pixel: neighbour k's part comes from the pixel whose neighbour k it is. */
struct convex_image_args {
  const real *mask;
  const real *dy;
  real *dx;
  bool add;
  Convex g;
};

BODY void convex_image_body(const struct convex_image_args *a, long i) {
  const Convex *g = &a->g;
  long square = g->factor * g->factor;
  real weight[CONVEX_AROUND * CONVEX_FACTOR_MAX * CONVEX_FACTOR_MAX], *to = a->dx + i * g->c;
  for (long c = 0; c < g->c && !a->add; c++) to[c] = 0;
  for (int k = 0; k < CONVEX_AROUND; k++) {
    long j = convex_neighbour(g, i, CONVEX_AROUND - 1 - k);
    if (j < 0) continue;
    convex_weights(square, a->mask + j * CONVEX_AROUND * square, weight);
    for (long p = 0; p < square; p++) {
      const real *dy = a->dy + convex_target(g, j, p);
      for (long c = 0; c < g->c; c++) to[c] += weight[k * square + p] * dy[c];
    }
  }
}
HOT_KERNEL(convex_image)

#endif
#endif
