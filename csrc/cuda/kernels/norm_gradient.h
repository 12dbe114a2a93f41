/* What the backward passes of normalisation find again of an activation. C++. */
#ifndef CUDA_KERNELS_NORM_GRADIENT_H
#define CUDA_KERNELS_NORM_GRADIENT_H

#include "cuda/kernels/activation.h"
#include "cuda/kernels/pack.h"
#include "ops/norm_passes.h"

/* A bit of each of W = wide_of<T> numbers from i on, where the activation that gave them has a slope. */
template <class T, int W>
static __device__ inline void put_mask(unsigned char *mask, long i, Activation act, const Pack<W> &y) {
  if constexpr (W == wide_of<T>) {
    unsigned bits = 0;
    for (int k = 0; k < W; k++) bits |= (unsigned)(activation_back(act, y.v[k], 1) > 0) << k;
    mask[i / W] = (unsigned char)bits;
  }
}

/* dz of a thread's channels in row i / channels. */
template <class T, int W>
static __device__ inline Pack<W> gradient(const NormBack &b, long i, const Pack<W> &x, const Pack<W> &scale,
                                          const Pack<W> &shift) {
  Pack<W> d = pack_load<W>((const T *)b.dy + i), given = {};
  if (b.mask) {
    unsigned bits = (unsigned)b.mask[i / wide_of<T>] >> i % wide_of<T>;
    for (int k = 0; k < W; k++) d.v[k] = bits >> k & 1 ? d.v[k] : 0;
    return d;
  }
  if (b.given) given = pack_load<W>((const T *)b.given + i);
  for (int k = 0; k < W; k++) {
    float v = x.v[k] * scale.v[k] + shift.v[k];
    if (b.given) v = b.act == ACT_SILU ? v + given.v[k] : given.v[k];
    d.v[k] = activation_back(b.act, v, d.v[k]);
  }
  return d;
}

#endif
