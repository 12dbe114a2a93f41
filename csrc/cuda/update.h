/* Updates of many parameters at once: what ops with Kernel.each share. */
#ifndef CUDA_UPDATE_H
#define CUDA_UPDATE_H

#include "cuda/kernels/update.h"
#include "cuda/op_kit.h"

enum { NO_STATE = -1 };

/* The update of all calls by one launch for each UPDATE_ROWS parameters. which: the inputs that are parameter, first
 * and second state, gradient. */
int cuda_update(Call *calls, int n, UpdateKind kind, const int *which);

/* One more row; n fits in an unsigned int. state: three, as of UpdateRow. */
void update_row(UpdateRows *rows, float *const *state, const float *g, long n);

#endif
