/* AdamW (Loshchilov and Hutter, ICLR 2019) for C code: the op `adamw`, which writes its
 * arguments. */
#ifndef OPS_ADAMW_H
#define OPS_ADAMW_H

#include "core/tensor.h"

typedef struct AdamW {
  double lr, beta1, beta2, eps, weight_decay;
  long step; /* this one's number, from 1: for the bias corrections */
} AdamW;

/* One update of the parameter p and the moments m, v from the gradient g, in a single pass; all of one shape
 * and one floating dtype. 0 with a message otherwise. */
int adamw_step(const AdamW *o, Tensor *p, const Tensor *g, Tensor *m, Tensor *v);

#endif
