/* Bilinear samples of a grid: four places and their float weights, and what arrays hold there. One arithmetic
 * for all who sample so. Loops with their own: points.c (in double), metrics_maps.c (a row at a time), and the
 * vector loops isa_flow_*.c. */
#ifndef CORE_BILINEAR_H
#define CORE_BILINEAR_H

#include <stdint.h>

typedef struct Bilinear {
  long at[4]; /* left and right above, left and right below */
  float weight[4];
} Bilinear;

/* The weights of a place (fx, fy) right of and below the first of its four. */
static inline void bilinear_weights(Bilinear *b, float fx, float fy) {
  b->weight[0] = (1 - fx) * (1 - fy);
  b->weight[1] = fx * (1 - fy);
  b->weight[2] = (1 - fx) * fy;
  b->weight[3] = fx * fy;
}

/* The sample at (x + fx, y + fy) of width x height places, rows `row` apart; beyond the border it repeats. */
static inline Bilinear bilinear_at(long x, long y, float fx, float fy, long width, long height, long row) {
  long right = x + 1 < width ? x + 1 : width - 1, below = (y + 1 < height ? y + 1 : height - 1) * row;
  long left = x > 0 ? x : 0, above = (y > 0 ? y : 0) * row;
  Bilinear b = {{above + left, above + right, below + left, below + right}, {0}};
  bilinear_weights(&b, fx, fy);
  return b;
}

/* The value of floats, or of bytes, that lie `step` apart. */
static inline float bilinear_floats(const Bilinear *b, const float *p, long step) {
  return b->weight[0] * p[b->at[0] * step] + b->weight[1] * p[b->at[1] * step] +
         b->weight[2] * p[b->at[2] * step] + b->weight[3] * p[b->at[3] * step];
}
static inline float bilinear_bytes(const Bilinear *b, const uint8_t *p, long step) {
  return b->weight[0] * p[b->at[0] * step] + b->weight[1] * p[b->at[1] * step] +
         b->weight[2] * p[b->at[2] * step] + b->weight[3] * p[b->at[3] * step];
}

#endif
