/* What cuDNN computes (graph.h): its handle and the plans of each device, kept by the problem. */
#ifndef CUDA_PLANS_H
#define CUDA_PLANS_H

#include "cuda/cuda.h"
#include "cuda/graph.h"

/* Computes the problem with cuDNN where it has a plan for it on the call's device, and says so in *done; otherwise
 * nothing happens. data: as of plan_run. 1, or 0 with a message. */
int cuda_planned(Call *c, const Problem *p, const void *const *data, bool *done);

/* Whether it would, wherever the data lie. */
bool cuda_may_plan(Call *c, const Problem *p);

/* What does the same without a plan for the whole, to the same places: it is measured beside one that does more than
 * convolve. */
typedef struct Apart {
  int (*run)(Call *, void *of); /* 1, or 0 with a message */
  void *of;
} Apart;

/* As cuda_planned, for what is more than a convolution. */
int cuda_planned_beside(Call *c, const Problem *p, const void *const *data, Apart apart, bool *done);

/* Measuring, and what was chosen. */
extern const DeviceTuning cuda_tuning;

#endif
