/* What is computed pixel by pixel here, for every device: the CPU's are this folder's own, others come with their
 * module (core/device.h), as the kernels of ops do. What a few points decide (fits, mixtures of colours) is the
 * host's everywhere. */
#ifndef MOTION_KERNELS_H
#define MOTION_KERNELS_H

#include "core/device.h"
#include "motion/flow_kernels.h"
#include "motion/map_kernels.h"
#include "motion/sharpen_kernels.h"

typedef struct MotionKernels {
  const FlowKernels *flow;
  const MapKernels *maps;
  const SharpenKernels *sharpen;
} MotionKernels;

/* Those of a device that motion_device() returns. */
const MotionKernels *motion_kernels(const Device *device);

/* The device that computes what lies on this one: itself, or the CPU where it has no such kernels. */
Device *motion_device(Device *device);

#endif
