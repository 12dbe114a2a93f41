/* The gates of a recurrent unit (ops/bodies_gru.h) and their gradients, of float32. c: numbers of h, d: of a row of the
 * state. Gradients that are NULL are not wanted. */
#ifndef CUDA_KERNELS_GRU_H
#define CUDA_KERNELS_GRU_H

#include "cuda/kernels/kernels.h"

typedef struct Gru {
  long rows, c, d;
} Gru;

/* A gradient, and whether it is added to what is there. */
typedef struct GruGrad {
  float *to;
  bool add;
} GruGrad;

LAUNCHER int gru_reset_on(CudaStream s, Gru g, const float *gates, const float *state, float *y);
LAUNCHER int gru_reset_back_on(CudaStream s, Gru g, const float *gates, const float *state, const float *dy,
                               GruGrad dgates, GruGrad dstate);
LAUNCHER int gru_update_on(CudaStream s, Gru g, const float *gates, const float *candidate,
                           const float *state, float *y);
LAUNCHER int gru_update_back_on(CudaStream s, Gru g, const float *gates, const float *candidate,
                                const float *state, const float *dy, GruGrad dgates, GruGrad dcandidate,
                                GruGrad dstate);

#endif
