/* Batch norm in training by cuDNN, where it was measured to be faster than our own passes (co.autotune): all of its plans
 * are compiled at run time, so that none is made unasked. */
#ifndef CUDA_NORM_PLANS_H
#define CUDA_NORM_PLANS_H

#include "cuda/kernels/norm.h"
#include "cuda/plans.h"

/* y = act(norm(x) + residual), the mask, and all that `a` has places for, with the statistics of x; residual and mask
 * may be NULL. own: what else does it. As cuda_planned. */
int cuda_norm_planned(Call *c, const NormStatistics *a, const void *residual, Activation act, void *y,
                      unsigned char *mask, Apart own, bool *done);
/* Saves the bias as saved[kept] where cuDNN may be asked for the gradients and needs it. 0 with a message. */
int cuda_norm_keep_bias(Call *c, int kept, bool residual, Activation act);
/* The gradients that b and `to` have places for; kept: the same. */
int cuda_norm_back_planned(Call *c, const NormBack *b, const NormLines *to, int kept, Apart own, bool *done);

#endif
