/* Computing a call that is ready: see run.c. */
#ifndef OPS_RUN_H
#define OPS_RUN_H

#include "ops/op.h"

/* One of its kernel's functions, on the call's device; its scratch memory ends with it. */
int call_compute(Call *c, int (*f)(Call *));

#endif
