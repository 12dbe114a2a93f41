/* Where kernels write that they refuse a value, and for kernels how: see cuda/refusals.h. */
#ifndef CUDA_KERNELS_REFUSE_H
#define CUDA_KERNELS_REFUSE_H

#include "ops/refusal.h"

#include <stdint.h>

typedef struct Refused {
  double number[3];
  int32_t refusal; /* 0: none */
} Refused;

typedef struct Refusals {
  Refused *first; /* of the device */
  int32_t *call;  /* not 0: the call refuses */
} Refusals;

#ifdef __cplusplus
#include "cuda/launch.h"

/* Any number of threads may call it; the first one is heard. */
static __device__ inline void refuse_on(const Refusals &r, Refusal refusal, double a, double b, double c) {
  *r.call = 1;
  if (atomicCAS(&r.first->refusal, 0, (int)refusal) != 0) return;
  r.first->number[0] = a;
  r.first->number[1] = b;
  r.first->number[2] = c;
}
#endif

#endif
