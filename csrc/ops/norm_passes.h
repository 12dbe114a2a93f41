/* What the passes of normalisation are given, on every device: bodies_norm.h, bodies_se.h, cuda/kernels/norm.h. */
#ifndef OPS_NORM_PASSES_H
#define OPS_NORM_PASSES_H

#include "backend/activation.h"
#include "ops/real.h"

#include <stdbool.h>

/* What the backward passes share. The gradient dz is dy times the activation's derivative. What that takes is
 * found again from x, by forward's own formula, and where there was a residual from `given`: with SiLU the
 * residual itself, otherwise the output y. */
typedef struct NormBack {
  const real *x, *dy, *given;       /* given may be NULL */
  const unsigned char *mask;        /* on a GPU, in place of given: bits (cuda/kernels/norm.h), or NULL */
  const real *mean, *scale, *shift; /* per channel */
  const real *slope, *offset;       /* per channel, of norm_back */
  real *dx, *dr;                    /* of norm_back; either may be NULL */
  Activation act;
  bool dx_add, dr_add;
} NormBack;

/* Of squeeze and excitation, per channel: gate and pool of one image. */
typedef struct SeLines {
  const real *mean, *scale, *shift; /* batch norm */
  const real *gate;
  const real *pool;           /* what every u's gradient has from the mean over the pixels */
  const real *slope, *offset; /* what every x's gradient has from the statistics */
} SeLines;

/* What backward sums per channel, with a = du / dv: dy u, dy a, dy a (x - mean), a, a (x - mean). */
enum { SE_DY_U, SE_DY_A, SE_DY_AX, SE_A, SE_AX, SE_SUMS };

#endif
