/* Winograd's F(4x4, 3x3) for vectors of channels (Lavin and Gray, CVPR 2016, with interpolation points 0,
 * +-1, +-2): a 4 x 4 tile of a 3 x 3 convolution is y = At [ (G g Gt) . (Bt d B) ] A, with d the 6 x 6 input
 * pixels around it. 36 products stand for 144. For files that are compiled per instruction set. */
#ifndef BACKEND_CONV_WINOGRAD_H
#define BACKEND_CONV_WINOGRAD_H

#include "backend/conv_kernel.h"

enum { EDGE = 4, SIDE = 6, FREQUENCIES = 36 }; /* of a tile: outputs, inputs, products */

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

/* Where the 6 x 6 input pixels of the tile at output (y, x) are; those outside the image point to zeros. */
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

/* Bt d B of channels k0 … k1-1: frequency f of channel k0 goes to v[f * apart], the others follow. */
INLINE void tile_input(const float *const *at, long k0, long k1, float *v, long apart) {
  for (long k = k0; k < k1; k += LANES, v += LANES) {
    vf half[SIDE][SIDE], d[SIDE], t[SIDE];
    UNROLL for (int j = 0; j < SIDE; j++) {
      UNROLL for (int i = 0; i < SIDE; i++) d[i] = vload(at[i * SIDE + j] + k);
      line_input(d, t);
      UNROLL for (int i = 0; i < SIDE; i++) half[i][j] = t[i];
    }
    UNROLL for (int i = 0; i < SIDE; i++) {
      line_input(half[i], t);
      UNROLL for (int j = 0; j < SIDE; j++) vstore(v + (i * SIDE + j) * apart, t[j]);
    }
  }
}

#endif
