/* Steps of residuals and responsibility maps (motion/map_kernels.h). */
#ifndef CUDA_KERNELS_MAPS_H
#define CUDA_KERNELS_MAPS_H

#include "cuda/kernels/kernels.h"
#include "motion/map_kernels.h"

/* A scene whose flows' places, too, are in the device's memory. */
typedef struct MapScene {
  long width, height, content_width, content_height;
  int gaps, hands;
  const float *const *flow;
} MapScene;

LAUNCHER int maps_sample_on(CudaStream s, const MapScene *scene, long n, const double *xy, double *uv);
/* plane: gaps × planes, where a still background has none. */
LAUNCHER int maps_fill_on(CudaStream s, const MapScene *scene, const Plane *plane, bool still, bool residuals,
                          double scale, float *out);
/* hulls: its corners are the device's. */
LAUNCHER int maps_closeness_on(CudaStream s, const MapScene *scene, const Hulls *hulls, float *map);

#endif
