/* What the files of the motion kernels share (motion/kernels.h). */
#ifndef CUDA_MOTION_H
#define CUDA_MOTION_H

#include "cuda/cuda.h"

extern const FlowKernels cuda_flow;
extern const SharpenKernels cuda_sharpen;

/* The device, chosen for launches, and its stream. */
static inline cudaStream_t motion_stream(Device *d) {
  d->enter(d);
  return cuda_stream(d);
}

#endif
