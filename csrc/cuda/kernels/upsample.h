/* Up-sampling of channels-last images to twice their size, joined with a skip connection's channels. */
#ifndef CUDA_KERNELS_UPSAMPLE_H
#define CUDA_KERNELS_UPSAMPLE_H

#include "cuda/kernels/kernels.h"

/* Of images h x w: cx channels of x, and behind them cs of the skip connection. */
typedef struct Upsample {
  long images, h, w, cx, cs;
} Upsample;

/* skip: not read where cs is 0. */
LAUNCHER int upsample_on(CudaStream s, const Upsample *u, const float *x, const float *skip, float *y);
LAUNCHER int upsample_back_on(CudaStream s, const Upsample *u, const float *dy, float *dx, bool add);
LAUNCHER int upsample_skip_back_on(CudaStream s, const Upsample *u, const float *dy, float *dskip, bool add);

#endif
