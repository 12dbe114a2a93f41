/* Bilinear samples at points (ops/bodies_grid_sample.h), and their gradients. Images are of `dtype`, float32 or halves. */
#ifndef CUDA_KERNELS_GRID_SAMPLE_H
#define CUDA_KERNELS_GRID_SAMPLE_H

#include "cuda/kernels/kernels.h"

struct Grid; /* ops/bodies_grid_sample.h */

LAUNCHER int grid_sample_on(CudaStream s, long images, const struct Grid *g, Dtype dtype, const void *x,
                            const float *grid, void *y);
LAUNCHER int grid_sample_points_on(CudaStream s, long images, const struct Grid *g, Dtype dtype,
                                   const void *x, const float *grid, const void *dy, float *dgrid, bool add);
/* scratch: of grid_sample_scratch bytes. */
LAUNCHER int grid_sample_image_on(CudaStream s, long images, const struct Grid *g, Dtype dtype,
                                  const float *grid, const void *dy, void *dx, bool add, void *scratch);
LAUNCHER size_t grid_sample_scratch(long images, const struct Grid *g);

#endif
