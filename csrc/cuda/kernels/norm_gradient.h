/* What the backward passes of normalisation find again of an activation. C++. */
#ifndef CUDA_KERNELS_NORM_GRADIENT_H
#define CUDA_KERNELS_NORM_GRADIENT_H

#include "cuda/kernels/activation.h"
#include "cuda/kernels/pack.h"
#include "ops/norm_passes.h"

/* dz of a thread's channels in row i / channels. */
template <class T, int W>
static __device__ inline Pack<W> gradient(const NormBack &b, long i, const Pack<W> &x, const Pack<W> &scale,
                                          const Pack<W> &shift) {
  Pack<W> d = pack_load<W>((const T *)b.dy + i), given = {};
  if (b.given) given = pack_load<W>((const T *)b.given + i);
  for (int k = 0; k < W; k++) {
    float v = x.v[k] * scale.v[k] + shift.v[k];
    if (b.given) v = b.act == ACT_SILU ? v + given.v[k] : given.v[k];
    d.v[k] = activation_back(b.act, v, d.v[k]);
  }
  return d;
}

#endif
