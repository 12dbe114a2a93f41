/* Up-sampling of channels-last images to twice their size, joined with a skip connection's channels. */
#ifndef CUDA_KERNELS_UPSAMPLE_H
#define CUDA_KERNELS_UPSAMPLE_H

#include "cuda/kernels/kernels.h"

/* Of images h x w: cx channels of x, and behind them cs of the skip connection. */
typedef struct Upsample {
  long images, h, w, cx, cs;
} Upsample;

/* Numbers of `dtype`, float32 or halves. skip: not read where cs is 0. */
LAUNCHER int upsample_on(CudaStream s, const Upsample *u, Dtype dtype, const void *x, const void *skip,
                         void *y);
LAUNCHER int upsample_back_on(CudaStream s, const Upsample *u, Dtype dtype, const void *dy, void *dx,
                              bool add);
LAUNCHER int upsample_skip_back_on(CudaStream s, const Upsample *u, Dtype dtype, const void *dy, void *dskip,
                                   bool add);

#endif
