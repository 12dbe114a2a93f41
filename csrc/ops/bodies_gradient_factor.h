/* What a step multiplies its gradients by, and what becomes of the scale of losses. */
#ifndef OPS_BODIES_GRADIENT_FACTOR_H
#define OPS_BODIES_GRADIENT_FACTOR_H

#include "backend/each.h"
#include "ops/numbers.h"
#include "ops/real.h"

#include <math.h>

struct gradient_factor_args {
  const real *total; /* of squares */
  real limit;
  real *step;         /* OP_NUMBERS */
  real *scale, *good; /* NULL: the loss was not scaled */
};

BODY void gradient_factor_of(const struct gradient_factor_args *a) {
  const real most = 16777216, until_double = 2000; /* good steps */
  real scale = a->scale ? *a->scale : 1, norm = RM(sqrt)(*a->total) / scale;
  int good = norm - norm == 0; /* a number */
  a->step[OP_FACTOR] = (norm > a->limit ? a->limit / norm : 1) / scale;
  a->step[OP_LEFT_OUT] = a->scale && !good;
  if (!a->scale) return;
  *a->good = good ? *a->good + 1 : 0;
  if (!good)
    *a->scale = scale > 2 ? scale / 2 : 1;
  else if (RM(fmod)(*a->good, until_double) == 0)
    *a->scale = scale < most / 2 ? scale * 2 : most;
}

#endif
