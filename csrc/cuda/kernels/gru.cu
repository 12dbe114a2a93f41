/* A thread for a number of the state; in gru_update_kernel for one of h. */
#include "cuda/launch.h" /* before the bodies: they are CUDA's here */

#include "cuda/kernels/gru.h"
#include "ops/bodies_math.h"

static __device__ inline void give(GruGrad g, long i, float v) {
  if (g.to) g.to[i] = (g.add ? g.to[i] : 0) + v;
}

static __global__ void gru_reset_kernel(long n, Gru g, const float *gates, const float *state, float *y) {
  long i = INDEX, row = i / g.d, k = i % g.d;
  if (i < n) y[i] = k < g.c ? state[i] * SIGMOID(gates[(2 * row + 1) * g.c + k]) : state[i];
}

int gru_reset_on(CudaStream s, Gru g, const float *gates, const float *state, float *y) {
  long n = g.rows * g.d;
  if (!n) return 1;
  LAUNCH(gru_reset_kernel, blocks_for(n), THREADS, 0, s, n, g, gates, state, y);
  return launched("gru_reset");
}

static __global__ void gru_reset_back_kernel(long n, Gru g, const float *gates, const float *state,
                                             const float *dy, GruGrad dgates, GruGrad dstate) {
  long i = INDEX, row = i / g.d, k = i % g.d, gate = (2 * row + 1) * g.c + k;
  if (i >= n) return;
  if (k >= g.c) return give(dstate, i, dy[i]);
  float r = SIGMOID(gates[gate]);
  give(dgates, gate - g.c, 0);
  give(dgates, gate, dy[i] * state[i] * r * (1 - r));
  give(dstate, i, dy[i] * r);
}

int gru_reset_back_on(CudaStream s, Gru g, const float *gates, const float *state, const float *dy,
                      GruGrad dgates, GruGrad dstate) {
  long n = g.rows * g.d;
  if (!n) return 1;
  LAUNCH(gru_reset_back_kernel, blocks_for(n), THREADS, 0, s, n, g, gates, state, dy, dgates, dstate);
  return launched("gru_reset");
}

static __global__ void gru_update_kernel(long n, Gru g, const float *gates, const float *candidate,
                                         const float *state, float *y) {
  long i = INDEX, row = i / g.c, k = i % g.c;
  if (i >= n) return;
  float h = state[row * g.d + k];
  y[i] = h + SIGMOID(gates[2 * row * g.c + k]) * (TANH(candidate[i]) - h);
}

int gru_update_on(CudaStream s, Gru g, const float *gates, const float *candidate, const float *state,
                  float *y) {
  long n = g.rows * g.c;
  if (!n) return 1;
  LAUNCH(gru_update_kernel, blocks_for(n), THREADS, 0, s, n, g, gates, candidate, state, y);
  return launched("gru_update");
}

static __global__ void gru_update_back_kernel(long n, Gru g, const float *gates, const float *candidate,
                                              const float *state, const float *dy, GruGrad dgates,
                                              GruGrad dcandidate, GruGrad dstate) {
  long i = INDEX, row = i / g.d, k = i % g.d, gate = 2 * row * g.c + k, own = row * g.c + k;
  if (i >= n) return;
  if (k >= g.c) return give(dstate, i, 0);
  float z = SIGMOID(gates[gate]), t = TANH(candidate[own]), d = dy[own];
  give(dgates, gate, d * (t - state[i]) * z * (1 - z));
  give(dgates, gate + g.c, 0);
  give(dcandidate, own, d * z * (1 - t * t));
  give(dstate, i, d * (1 - z));
}

int gru_update_back_on(CudaStream s, Gru g, const float *gates, const float *candidate, const float *state,
                       const float *dy, GruGrad dgates, GruGrad dcandidate, GruGrad dstate) {
  long n = g.rows * g.d;
  if (!n) return 1;
  LAUNCH(gru_update_back_kernel, blocks_for(n), THREADS, 0, s, n, g, gates, candidate, state, dy, dgates,
         dcandidate, dstate);
  return launched("gru_update");
}
