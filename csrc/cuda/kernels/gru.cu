/* A thread for W numbers of the state, in gru_update_kernel of h: four, which move at once, where rows and memory allow
 * it, else one. */
#include "cuda/launch.h" /* before the bodies: they are CUDA's here */

#include "cuda/kernels/gru.h"
#include "cuda/kernels/pack.h"
#include "ops/bodies_math.h"

/* g's numbers from i on (+)= v */
template <int W> static __device__ inline void give(GruGrad g, long i, const Pack<W> &v) {
  if (g.to) pack_put(g.to + i, v, g.add);
}

template <int W> static __device__ inline Pack<W> sigmoids(const float *gates) {
  Pack<W> v = pack_load<W>(gates);
  for (int k = 0; k < W; k++) v.v[k] = SIGMOID(v.v[k]);
  return v;
}

/* Starts kernel<W>(n, g, …) with n / W threads; `memory`: all that it reads and writes. */
#define LAUNCH_GRU(kernel, s, n, g, memory, ...)                                                             \
  do {                                                                                                       \
    if ((g).c % 4 == 0 && (g).d % 4 == 0 && memory)                                                          \
      LAUNCH((kernel<4>), blocks_for(n, 4 * THREADS), THREADS, 0, s, n, g, __VA_ARGS__);                     \
    else                                                                                                     \
      LAUNCH((kernel<1>), blocks_for(n), THREADS, 0, s, n, g, __VA_ARGS__);                                  \
  } while (0)

template <int W>
static __global__ void gru_reset_kernel(long n, Gru g, const float *gates, const float *state, float *y) {
  long i = INDEX * W, row = i / g.d, k = i % g.d;
  if (i >= n) return;
  Pack<W> h = pack_load<W>(state + i);
  if (k < g.c) {
    Pack<W> r = sigmoids<W>(gates + (2 * row + 1) * g.c + k);
    for (int j = 0; j < W; j++) h.v[j] *= r.v[j];
  }
  pack_store(y + i, h);
}

int gru_reset_on(CudaStream s, Gru g, const float *gates, const float *state, float *y) {
  long n = g.rows * g.d;
  if (!n) return 1;
  LAUNCH_GRU(gru_reset_kernel, s, n, g, all_aligned16({gates, state, y}), gates, state, y);
  return launched("gru_reset");
}

template <int W>
static __global__ void gru_reset_back_kernel(long n, Gru g, const float *gates, const float *state,
                                             const float *dy, GruGrad dgates, GruGrad dstate) {
  long i = INDEX * W, row = i / g.d, k = i % g.d, gate = (2 * row + 1) * g.c + k;
  if (i >= n) return;
  Pack<W> d = pack_load<W>(dy + i);
  if (k >= g.c) return give(dstate, i, d);
  Pack<W> r = sigmoids<W>(gates + gate), h = pack_load<W>(state + i), dg;
  for (int j = 0; j < W; j++) {
    dg.v[j] = d.v[j] * h.v[j] * r.v[j] * (1 - r.v[j]);
    d.v[j] *= r.v[j];
  }
  give(dgates, gate - g.c, Pack<W>{});
  give(dgates, gate, dg);
  give(dstate, i, d);
}

int gru_reset_back_on(CudaStream s, Gru g, const float *gates, const float *state, const float *dy,
                      GruGrad dgates, GruGrad dstate) {
  long n = g.rows * g.d;
  if (!n) return 1;
  LAUNCH_GRU(gru_reset_back_kernel, s, n, g, all_aligned16({gates, state, dy, dgates.to, dstate.to}), gates,
             state, dy, dgates, dstate);
  return launched("gru_reset");
}

template <int W>
static __global__ void gru_update_kernel(long n, Gru g, const float *gates, const float *candidate,
                                         const float *state, float *y) {
  long i = INDEX * W, row = i / g.c, k = i % g.c;
  if (i >= n) return;
  Pack<W> h = pack_load<W>(state + row * g.d + k), z = sigmoids<W>(gates + 2 * row * g.c + k),
          t = pack_load<W>(candidate + i);
  for (int j = 0; j < W; j++) h.v[j] += z.v[j] * (TANH(t.v[j]) - h.v[j]);
  pack_store(y + i, h);
}

int gru_update_on(CudaStream s, Gru g, const float *gates, const float *candidate, const float *state,
                  float *y) {
  long n = g.rows * g.c;
  if (!n) return 1;
  LAUNCH_GRU(gru_update_kernel, s, n, g, all_aligned16({gates, candidate, state, y}), gates, candidate, state,
             y);
  return launched("gru_update");
}

template <int W>
static __global__ void gru_update_back_kernel(long n, Gru g, const float *gates, const float *candidate,
                                              const float *state, const float *dy, GruGrad dgates,
                                              GruGrad dcandidate, GruGrad dstate) {
  long i = INDEX * W, row = i / g.d, k = i % g.d, gate = 2 * row * g.c + k, own = row * g.c + k;
  if (i >= n) return;
  if (k >= g.c) return give(dstate, i, Pack<W>{});
  Pack<W> z = sigmoids<W>(gates + gate), t = pack_load<W>(candidate + own), d = pack_load<W>(dy + own),
          h = pack_load<W>(state + i), dgate;
  for (int j = 0; j < W; j++) {
    t.v[j] = TANH(t.v[j]);
    dgate.v[j] = d.v[j] * (t.v[j] - h.v[j]) * z.v[j] * (1 - z.v[j]);
    t.v[j] = d.v[j] * z.v[j] * (1 - t.v[j] * t.v[j]);
    h.v[j] = d.v[j] * (1 - z.v[j]);
  }
  give(dgates, gate, dgate);
  give(dgates, gate + g.c, Pack<W>{});
  give(dcandidate, own, t);
  give(dstate, i, h);
}

int gru_update_back_on(CudaStream s, Gru g, const float *gates, const float *candidate, const float *state,
                       const float *dy, GruGrad dgates, GruGrad dcandidate, GruGrad dstate) {
  long n = g.rows * g.d;
  if (!n) return 1;
  LAUNCH_GRU(gru_update_back_kernel, s, n, g,
             all_aligned16({gates, candidate, state, dy, dgates.to, dcandidate.to, dstate.to}), gates,
             candidate, state, dy, dgates, dcandidate, dstate);
  return launched("gru_update");
}
