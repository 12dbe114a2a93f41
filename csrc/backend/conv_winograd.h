/* Winograd's F(4x4, 3x3) and F(6x6, 3x3) for vectors of channels (Lavin and Gray, CVPR 2016; interpolation
 * points 0, +-1, +-2 and, for 6, +-1/2): an E x E tile of a 3 x 3 convolution is y = At [ (G g Gt) . (Bt d B)
 * ] A, with d the (E + 2)^2 input pixels around it. 36 products stand for 144, 64 for 324. WINOGRAD_EDGE says
 * which (4 unless set before). For files that are compiled per instruction set. */
#ifndef BACKEND_CONV_WINOGRAD_H
#define BACKEND_CONV_WINOGRAD_H

#include "backend/conv_kernel.h"

#ifndef WINOGRAD_EDGE
#define WINOGRAD_EDGE 4
#endif
enum {
  EDGE = WINOGRAD_EDGE,
  SIDE = EDGE + 2,
  FREQUENCIES = SIDE * SIDE
}; /* of a tile: outputs, inputs, products */

#if WINOGRAD_EDGE == 4

/* One column of Bt d: d and t are the 6 entries of a line. Written so that every product can join a sum. */
INLINE void line_input(const vf *d, vf *t) {
  vf a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1], c = d[4] - d[2], e = d[3] - d[1];
  t[0] = (d[4] - 5.0f * d[2]) + 4.0f * d[0];
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + 2.0f * e;
  t[4] = c - 2.0f * e;
  t[5] = (d[5] - 5.0f * d[3]) + 4.0f * d[1];
}

/* One column of At m: 6 entries to 4. */
INLINE void line_output(const vf *m, vf *y) {
  vf s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
  y[0] = (m[0] + s1) + s2;
  y[1] = d1 + 2.0f * d2;
  y[2] = s1 + 4.0f * s2;
  y[3] = (m[5] + d1) + 8.0f * d2;
}

/* Its transpose A y: 4 entries to 6. */
INLINE void line_output_transposed(const vf *y, vf *m) {
  vf even = y[0] + y[2], odd = y[1] + y[3], even2 = y[0] + 4.0f * y[2], odd2 = 2.0f * y[1] + 8.0f * y[3];
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = even2 + odd2;
  m[4] = even2 - odd2;
  m[5] = y[3];
}

/* One column of G g: 3 entries to 6. */
INLINE void line_weight(const vf *g, vf *u) {
  vf s = (g[0] + g[2]) * (1.0f / 6), q = g[0] * (1.0f / 24) + g[2] * (1.0f / 6), r = g[1] * (1.0f / 12);
  u[0] = g[0] * 0.25f;
  u[1] = -s - g[1] * (1.0f / 6);
  u[2] = g[1] * (1.0f / 6) - s;
  u[3] = q + r;
  u[4] = q - r;
  u[5] = g[2];
}

/* Its transpose Gt u: 6 entries to 3. */
INLINE void line_weight_transposed(const vf *u, vf *g) {
  vf s = u[1] + u[2], d = u[3] + u[4];
  g[0] = 0.25f * u[0] - s * (1.0f / 6) + d * (1.0f / 24);
  g[1] = (u[2] - u[1]) * (1.0f / 6) + (u[3] - u[4]) * (1.0f / 12);
  g[2] = (d - s) * (1.0f / 6) + u[5];
}

#else
/* The same for 8 inputs and 6 outputs. */
INLINE void line_input(const vf *d, vf *t) {
  vf a = (d[2] + d[6]) - 4.25f * d[4], b = (d[1] + d[5]) - 4.25f * d[3];
  vf c = (d[6] + 0.25f * d[2]) - 1.25f * d[4], e = (0.5f * d[1] + 2.0f * d[5]) - 2.5f * d[3];
  vf f = (d[6] + 4.0f * d[2]) - 5.0f * d[4], g = (2.0f * d[1] + 0.5f * d[5]) - 2.5f * d[3];
  t[0] = (d[0] - d[6]) + 5.25f * (d[4] - d[2]);
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + e;
  t[4] = c - e;
  t[5] = f + g;
  t[6] = f - g;
  t[7] = (d[7] - d[1]) + 5.25f * (d[3] - d[5]);
}

INLINE void line_output(const vf *m, vf *y) {
  vf s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4], s3 = m[5] + m[6],
     d3 = m[5] - m[6];
  y[0] = (m[0] + s1) + (s2 + s3);
  y[1] = (d1 + 2.0f * d2) + 0.5f * d3;
  y[2] = (s1 + 4.0f * s2) + 0.25f * s3;
  y[3] = (d1 + 8.0f * d2) + 0.125f * d3;
  y[4] = (s1 + 16.0f * s2) + 0.0625f * s3;
  y[5] = ((m[7] + d1) + 32.0f * d2) + 0.03125f * d3;
}

INLINE void line_output_transposed(const vf *y, vf *m) {
  vf even = (y[0] + y[2]) + y[4], odd = (y[1] + y[3]) + y[5];
  vf even2 = (y[0] + 4.0f * y[2]) + 16.0f * y[4], odd2 = (2.0f * y[1] + 8.0f * y[3]) + 32.0f * y[5];
  vf even3 = (y[0] + 0.25f * y[2]) + 0.0625f * y[4], odd3 = (0.5f * y[1] + 0.125f * y[3]) + 0.03125f * y[5];
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = even2 + odd2;
  m[4] = even2 - odd2;
  m[5] = even3 + odd3;
  m[6] = even3 - odd3;
  m[7] = y[5];
}

INLINE void line_weight(const vf *g, vf *u) {
  vf s = (g[0] + g[2]) * (-2.0f / 9), r = g[1] * (2.0f / 9);
  vf p = g[0] * (1.0f / 90) + g[2] * (2.0f / 45), q = g[1] * (1.0f / 45);
  vf v = g[0] * (32.0f / 45) + g[2] * (8.0f / 45), w = g[1] * (16.0f / 45);
  u[0] = g[0];
  u[1] = s - r;
  u[2] = s + r;
  u[3] = p + q;
  u[4] = p - q;
  u[5] = v + w;
  u[6] = v - w;
  u[7] = g[2];
}

INLINE void line_weight_transposed(const vf *u, vf *g) {
  vf s = (u[1] + u[2]) * (-2.0f / 9), p = u[3] + u[4], v = u[5] + u[6];
  g[0] = (u[0] + s) + (p * (1.0f / 90) + v * (32.0f / 45));
  g[1] = (u[2] - u[1]) * (2.0f / 9) + ((u[3] - u[4]) * (1.0f / 45) + (u[5] - u[6]) * (16.0f / 45));
  g[2] = (u[7] + s) + (p * (2.0f / 45) + v * (8.0f / 45));
}
#endif

/* Where the SIDE x SIDE input pixels of the tile at output (y, x) are; those outside the image point to
 * zeros. */
INLINE void tile_pixels(const float *image, long h, long w, long pixel, long y, long x, const float *zeros,
                        const float **at) {
  const float *first = image + (y * w + x) * pixel;
  bool inside = y >= 0 && x >= 0 && y + SIDE <= h && x + SIDE <= w;
  for (long i = 0; i < SIDE; i++) {
    for (long j = 0; j < SIDE; j++) {
      bool here = inside || (y + i >= 0 && y + i < h && x + j >= 0 && x + j < w);
      at[i * SIDE + j] = here ? first + (i * w + j) * pixel : zeros;
    }
  }
}

/* 36 numbers between the two passes may stay in registers, 64 go through the first-level cache. */
#if WINOGRAD_EDGE == 4
#define LINES UNROLL
#else
#define LINES
#endif

/* Bt d B of channels k0 … k1-1: frequency f of channel k0 goes to v[f * apart], the others follow. */
INLINE void tile_input(const float *const *at, long k0, long k1, float *v, long apart) {
  for (long k = k0; k < k1; k += LANES, v += LANES) {
    vf half[SIDE][SIDE], d[SIDE], t[SIDE];
    LINES for (int j = 0; j < SIDE; j++) {
      UNROLL for (int i = 0; i < SIDE; i++) d[i] = vload(at[i * SIDE + j] + k);
      line_input(d, t);
      UNROLL for (int i = 0; i < SIDE; i++) half[i][j] = t[i];
    }
    LINES for (int i = 0; i < SIDE; i++) {
      line_input(half[i], t);
      UNROLL for (int j = 0; j < SIDE; j++) vstore(v + (i * SIDE + j) * apart, t[j]);
    }
  }
}

#endif
