/* SiLU over what a convolution has left, in place: its epilogues rectify in registers, but an exponential
 * there would cost the kernels more than this pass. */
#ifndef OPS_BODIES_SILU_H
#define OPS_BODIES_SILU_H

#include "ops/bodies_math.h"
#include "ops/hot.h"

enum { SILU_CHUNK = 1 << 14 };

struct silu_in_place_args {
  real *y;
};

BODY void silu_in_place_body(const struct silu_in_place_args *a, long i) { a->y[i] = SILU(a->y[i]); }
HOT_KERNEL(silu_in_place)

#endif
