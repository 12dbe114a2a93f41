/* Gradients that were computed as halves, on their way to float32. Those of leaves are put off to the end of the walk back
 * through the tape, or until somebody asks for one of them: all of them take one launch then. */
#ifndef CUDA_WIDENING_H
#define CUDA_WIDENING_H

#include "cuda/cuda.h"

/* dw (+)= half, which it takes over. dw: the gradient of input i. 1, or 0 with a message. */
int cuda_widen(Call *c, int i, Tensor *half, float *dw, bool add);

/* Device.settle. */
int cuda_settle(Device *d, const void *block);

#endif
