/* A 3 x 3 convolution of a map that was up-sampled by repeating pixels, from the products of its nine taps at
 * the map's own resolution, channels-last. Output pixel (Y, X) takes tap (a, b) from the map's pixel
 * ((Y + a - 1) / 2, (X + b - 1) / 2). h, w: of the map; o: output channels; zeros: o of them. */
#ifndef OPS_BODIES_UPCONV_H
#define OPS_BODIES_UPCONV_H

#include "backend/activation.h"
#include "ops/hot.h"

/* to = the sum of nine rows of o numbers, added to what it holds where `add` says so. */
BODY void sum_nine(const real *restrict t0, const real *restrict t1, const real *restrict t2,
                   const real *restrict t3, const real *restrict t4, const real *restrict t5,
                   const real *restrict t6, const real *restrict t7, const real *restrict t8,
                   real *restrict to, long o, bool add) {
  if (add)
    for (long k = 0; k < o; k++)
      to[k] += ((t0[k] + t1[k]) + (t2[k] + t3[k])) + ((t4[k] + t5[k]) + (t6[k] + t7[k])) + t8[k];
  else
    for (long k = 0; k < o; k++)
      to[k] = ((t0[k] + t1[k]) + (t2[k] + t3[k])) + ((t4[k] + t5[k]) + (t6[k] + t7[k])) + t8[k];
}

BODY void sum_four(const real *restrict t0, const real *restrict t1, const real *restrict t2,
                   const real *restrict t3, real *restrict to, long o) {
  for (long k = 0; k < o; k++) to[k] = (t0[k] + t1[k]) + (t2[k] + t3[k]);
}

/* y = act(scale y + shift); act: none or one that rectifies */
BODY void finish_row(real *restrict y, const real *restrict scale, const real *restrict shift, long o,
                     Activation act) {
  if (scale)
    for (long k = 0; k < o; k++) y[k] *= scale[k];
  if (shift)
    for (long k = 0; k < o; k++) y[k] += shift[k];
  if (act != ACT_NONE)
    for (long k = 0; k < o; k++) y[k] = y[k] < 0 ? 0 : y[k];
  if (act == ACT_RELU6)
    for (long k = 0; k < o; k++) y[k] = y[k] > 6 ? 6 : y[k];
}

/* Row i of all images of y = act(scale (y + its nine taps) + shift); scale, shift may be NULL. */
struct taps_gather_args {
  const real *p; /* pixels of the map, 9 o */
  const real *scale;
  const real *shift;
  const real *zeros;
  real *y;
  long h, w, o;
  Activation act;
  bool add; /* to what y holds; else y is not read */
};

BODY void taps_gather_body(const struct taps_gather_args *a, long i) {
  long Y = i % (2 * a->h), image = i / (2 * a->h), o = a->o, wide = 2 * a->w;
  const real *row[3]; /* of the map's products, tap by tap; NULL outside */
  for (long r = 0; r < 3; r++) {
    long y = Y + r - 1;
    row[r] = y >= 0 && y < 2 * a->h ? a->p + ((image * a->h + y / 2) * a->w * 9 + 3 * r) * o : NULL;
  }
  for (long X = 0; X < wide; X++) {
    const real *t[9];
    for (long r = 0; r < 3; r++)
      for (long s = 0; s < 3; s++) {
        long x = X + s - 1;
        t[3 * r + s] = row[r] && x >= 0 && x < wide ? row[r] + (x / 2 * 9 + s) * o : a->zeros;
      }
    real *to = a->y + (i * wide + X) * o;
    sum_nine(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], to, o, a->add);
    finish_row(to, a->scale, a->shift, o, a->act);
  }
}
HOT_KERNEL(taps_gather)

/* Its adjoint: for row i of all maps, pixel by pixel and tap by tap, the sum of dy over the output pixels
 * that take it. */
struct taps_collect_args {
  const real *dy;
  const real *zeros;
  real *g; /* pixels of the map, 9 o */
  long h, w, o;
};

BODY void taps_collect_body(const struct taps_collect_args *a, long i) {
  long Y = i % a->h * 2, image = i / a->h, o = a->o, wide = 2 * a->w;
  for (long j = 0; j < a->w; j++) {
    for (long r = 0; r < 3; r++) {
      for (long s = 0; s < 3; s++) {
        const real *t[4];
        for (long q = 0; q < 4; q++) {
          long y = Y + 1 - r + q / 2, x = 2 * j + 1 - s + q % 2;
          bool inside = y >= 0 && y < 2 * a->h && x >= 0 && x < wide;
          t[q] = inside ? a->dy + ((image * 2 * a->h + y) * wide + x) * o : a->zeros;
        }
        sum_four(t[0], t[1], t[2], t[3], a->g + ((i * a->w + j) * 9 + 3 * r + s) * o, o);
      }
    }
  }
}
HOT_KERNEL(taps_collect)

#endif
