/* Convex upsampling (ops/bodies_convex.h) and its gradients, of float32; pixels: of the small images. */
#ifndef CUDA_KERNELS_CONVEX_H
#define CUDA_KERNELS_CONVEX_H

#include "cuda/kernels/kernels.h"

struct Convex; /* ops/bodies_convex.h */

LAUNCHER int convex_on(CudaStream s, long pixels, const struct Convex *g, const float *x, const float *mask,
                       float *y);
LAUNCHER int convex_mask_on(CudaStream s, long pixels, const struct Convex *g, const float *x,
                            const float *mask, const float *dy, float *dmask, bool add);
LAUNCHER int convex_image_on(CudaStream s, long pixels, const struct Convex *g, const float *mask,
                             const float *dy, float *dx, bool add);

#endif
