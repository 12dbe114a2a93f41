/* How kernels that read wrong values (ops/refusal.h) say so: the first one of all leaves its numbers in the device's
 * memory, where wait finds them; and in every call's own word, that it came to nothing: then the kernel which writes
 * the output writes NaN, and backward zeros. */
#ifndef CUDA_REFUSALS_H
#define CUDA_REFUSALS_H

#include "cuda/cuda.h"
#include "cuda/kernels/refuse.h"

/* What this call's kernels refuse by. The call's word, 0 so far, is kept for backward as saved[kept]: an int32. */
int cuda_refusals(Call *c, int kept, Refusals *r);

#endif
