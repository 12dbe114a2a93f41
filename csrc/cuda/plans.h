/* Convolutions that cuDNN computes (graph.h): its handle and the plans of each device, kept by the problem. */
#ifndef CUDA_PLANS_H
#define CUDA_PLANS_H

#include "cuda/cuda.h"
#include "cuda/graph.h"

/* Computes the problem with cuDNN where it has a plan for it on the call's device, and says so in *done; otherwise
 * nothing happens. data: as of conv_plan_run. 1, or 0 with a message. */
int cuda_planned(Call *c, const ConvProblem *p, const void *const *data, bool *done);

/* Measuring, and what was chosen. */
extern const DeviceTuning cuda_tuning;

#endif
