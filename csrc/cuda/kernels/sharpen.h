/* Steps of sharpening (motion/sharpen_kernels.h). */
#ifndef CUDA_KERNELS_SHARPEN_H
#define CUDA_KERNELS_SHARPEN_H

#include "cuda/kernels/kernels.h"
#include "motion/sharpen_kernels.h"

LAUNCHER int sharpen_colours_on(CudaStream s, const Content *c, const uint8_t *image, float *colours);
LAUNCHER int sharpen_take_on(CudaStream s, const Content *c, const float *map, int channels, int k,
                             float *plane);
LAUNCHER int sharpen_put_on(CudaStream s, const Content *c, const float *plane, int channels, int k,
                            float *map);
LAUNCHER int sharpen_score_on(CudaStream s, long pixels, const Mixture *in, const Mixture *out,
                              const float *colours, const float *map, float *q, float *trust);
LAUNCHER long sharpen_work_on(long h, long w);
LAUNCHER int sharpen_smooth_on(CudaStream s, const float *colours, long h, long w, const float *q,
                               const float *trust, float smoothness, float *p, float *work);
LAUNCHER int sharpen_share_on(CudaStream s, long pixels, int hands, float *map);

#endif
