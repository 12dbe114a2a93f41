/* A step from one array of numbers towards another. Index i is a block of LERP_BLOCK numbers. */
#ifndef OPS_BODIES_LERP_H
#define OPS_BODIES_LERP_H

#include "ops/hot.h"

enum { LERP_BLOCK = 256 };

/* Of one number. */
BODY void lerp_update(real share, real *to, real from) { *to += share * (from - *to); }

#ifndef ON_CUDA
struct lerp_args {
  long n;
  real *to;
  const real *from;
  real share;
};

BODY void lerp_body(const struct lerp_args *a, long i) {
  long at = i * LERP_BLOCK;
  long n = a->n - at < LERP_BLOCK ? a->n - at : LERP_BLOCK;
  real *restrict to = a->to + at;
  const real *restrict from = a->from + at;
  real share = a->share;
  for (long k = 0; k < n; k++) lerp_update(share, to + k, from[k]);
}
HOT_KERNEL(lerp)
#endif

#endif
