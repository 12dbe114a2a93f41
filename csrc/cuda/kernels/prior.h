/* Steps of sharpening's priors (motion/prior_kernels.h). */
#ifndef CUDA_KERNELS_PRIOR_H
#define CUDA_KERNELS_PRIOR_H

#include "cuda/kernels/kernels.h"
#include "motion/prior_kernels.h"

LAUNCHER int prior_place_on(CudaStream s, const Priors *p, const PriorHand *h, bool claim);
LAUNCHER int prior_ground_on(CudaStream s, const Priors *p, const PriorHand *h);
LAUNCHER int prior_weigh_on(CudaStream s, const Priors *p, const PriorHand *h);
LAUNCHER int prior_rest_on(CudaStream s, long pixels, int hands, float *map);

#endif
