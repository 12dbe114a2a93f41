/* Steps of the optical flow (motion/flow_kernels.h). */
#ifndef CUDA_KERNELS_FLOW_H
#define CUDA_KERNELS_FLOW_H

#include "cuda/kernels/kernels.h"
#include "motion/flow_kernels.h"

LAUNCHER int flow_grey_on(CudaStream s, const uint8_t *const *images, int channels, const FlowImage *out);
LAUNCHER int flow_halve_on(CudaStream s, const FlowImage *in, const FlowImage *out);
LAUNCHER int flow_slopes_on(CudaStream s, const FlowImage *in, const FlowImage *x, const FlowImage *y);
LAUNCHER int flow_start_on(CudaStream s, const FlowSearch *search, const FlowField *coarse);
LAUNCHER int flow_search_on(CudaStream s, const FlowSearch *search);
LAUNCHER int flow_densify_on(CudaStream s, const FlowSearch *search, const FlowField *field);
LAUNCHER long flow_refine_floats_on(long h, long w);
LAUNCHER int flow_refine_on(CudaStream s, const FlowImage *a, const FlowImage *b, const FlowField *field,
                            float *block);
LAUNCHER int flow_finish_on(CudaStream s, const FlowField *field, int enlarge, long h, long w,
                            float *const *flows);
LAUNCHER int flow_check_on(CudaStream s, const float *forward, const float *backward, long h, long w, float a,
                           float b, uint8_t *valid);

#ifdef __cplusplus
#include "cuda/launch.h"

/* Kernels whose blockIdx.y (of a grid of three dimensions: z) counts a series: number i of it. */
static __device__ inline FlowImage of_series(FlowImage m, unsigned i) {
  m.at += i * m.series.apart;
  return m;
}
static __device__ inline FlowField of_series(FlowField f, unsigned i) {
  f.u += i * f.series.apart;
  f.v += i * f.series.apart;
  return f;
}

/* Blocks for n threads for each of a series. */
static inline dim3 series_blocks(long n, const FlowSeries &s) {
  return dim3(blocks_for(n), (unsigned)s.count);
}
#endif

#endif
