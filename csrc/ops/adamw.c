/* The optimiser's step for C code: one call of the op of the same name, where the arithmetic stands. */
#include "ops/adamw.h"

#include "ops/engine.h"

#include <string.h>

int adamw_step(const AdamW *o, Tensor *p, const Tensor *g, Tensor *m, Tensor *v) {
  const OpInfo *info = op_find("adamw");
  const double values[] = {o->lr, o->beta1, o->beta2, o->eps, o->weight_decay, (double)o->step};
  Tensor *tensors[] = {p, (Tensor *)g, m, v};
  Call c;
  op_begin(info, &c);
  memcpy(c.in, tensors, sizeof tensors);
  for (int i = 0; i < 6; i++)
    c.arg[i] = (Arg){.given = true, .n = values[i], .count = 1, .list = {(long)values[i]}};
  return op_run(info, &c);
}
