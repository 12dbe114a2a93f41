/* What the convolution's own files share: one description, Corr, of the correlation that forward and every
 * part of backward-data come down to, and the methods that can compute one. Not for other folders. */
#ifndef BACKEND_CONV_PARTS_H
#define BACKEND_CONV_PARTS_H

#include "backend/conv.h"
#include "backend/isa.h"

/* For every image, group g and grid position (i, j), output channel o of the group:
 *
 *   y[i, j, o] = sum over a < kh, b < kw, k < c of  x[i', j', k] * w(a, b, k, o)
 *   i' = top + i step_h + a gap_h, j' = left + j step_w + b gap_w
 *
 * x is zero outside the image. Forward: top and left are the padding's, negative. Backward-data: x is dy, the
 * grid is one of stride_h stride_w interleaved ones, the window runs backwards over the weights, and y steps over the pixels of the others. */
typedef struct Corr {
  long n, groups;
  long h, w, c; /* input rows and columns, channels of one group */
  const float *x;
  long pixel, x_group; /* floats from one pixel, and from one group's channels, to the next (0: all groups see
                          the same ones) */
  long kh, kw, step_h, step_w, gap_h, gap_w, top, left;
  long gh, gw, o; /* grid rows and columns, output channels of one group */
  float *y;
  long y_image, y_row, y_col;              /* floats from one image, grid row, grid column to the next */
  const float *weight;                     /* w(0, 0, 0, 0) of group 0 … */
  long w_row, w_col, w_in, w_out, w_group; /* … and floats from there per a, b, k, o, g; may be < 0 */
  bool add;                                /* y += instead of y =; never with an epilogue */
  bool kept; /* weights stay packed: inference, where large results may also go past the caches */
  const float *scale, *shift, *residual; /* as in Epilogue; residual has the strides of y */
  Activation act;
} Corr;

/* Runs of a kernel (see corr_runs) that the methods handle, and rows or columns that a dilated one reaches
 * over; above that (nobody needs it) the plain path runs. */
enum { CONV_KERNEL_MAX = 64, CONV_REACH_MAX = 512 };

/* Pieces of memory that a window consists of: its rows, or with gaps between columns its places. */
static inline long corr_runs(const Corr *c) { return c->gap_w > 1 ? c->kh * c->kw : c->kh; }

/* A method needs the weights in an order of its own. */
typedef struct Method {
  bool (*fits)(const Corr *);               /* whether it computes this one */
  size_t (*size)(const Corr *);             /* floats in that order; the sizes and strides of Corr decide */
  int (*pack)(const Corr *, float *packed); /* from weight to that order */
  int (*run)(const Corr *, const float *packed); /* x to y; does not look at weight */
} Method;

static inline long least(long a, long b) { return a < b ? a : b; }
static inline long ratio_up(long a, long b) { return (a + b - 1) / b; }

/* Computes c by the method for its shape. reuse: as in conv_forward. */
int conv_compute(const Corr *c, const Tensor *weight, bool reuse);

/* Any shape: register-blocked products straight from memory, or from a copied window with its border. */
ISA_DECLARE(Method, conv_direct, void);
/* Many groups of few channels each: several groups to a vector. */
ISA_DECLARE(Method, conv_grouped, void);
/* 3 x 3 with stride 1, one group, channels in whole vectors; tiles of 4 x 4 and, for large maps of few
 * channels, of 6 x 6. */
ISA_DECLARE(Method, conv_winograd4, void);
ISA_DECLARE(Method, conv_winograd6, void);

/* The same for the gradient of the weights. */
typedef struct WeightMethod {
  bool (*fits)(const ConvShape *);
  int (*run)(const ConvShape *, const float *x, const float *dy, float *dw, bool add);
} WeightMethod;

ISA_DECLARE(WeightMethod, weight_direct, void);
ISA_DECLARE(WeightMethod, weight_spread, void);
ISA_DECLARE(WeightMethod, weight_winograd4, void);
ISA_DECLARE(WeightMethod, weight_winograd6, void);

/* dw (count floats) = or += the sum of `parts` arrays of that length, one after the other in `partial`, in
 * order. */
int weight_sum(long count, long parts, const float *partial, float *dw, bool add);

#endif
