/* A thread's channels of a row of maps as normalisation's passes read them, and what backward finds again of an
 * activation. C++. */
#ifndef CUDA_KERNELS_NORM_GRADIENT_H
#define CUDA_KERNELS_NORM_GRADIENT_H

#include "cuda/kernels/activation.h"
#include "cuda/kernels/line.h"
#include "ops/norm_passes.h"

/* ---- forward ---- */

template <class T, int W> struct ApplyRow { Line<T, W> x, residual; };

/* residual may be NULL: zeros */
template <int W, class T>
static __device__ inline ApplyRow<T, W> apply_row(const T *x, const T *residual, long i) {
  ApplyRow<T, W> row = {};
  row.x = line_load_whole<W>(x + i);
  if (residual) row.residual = line_load_whole<W>(residual + i);
  return row;
}

/* A bit of each of W = wide_of<T> numbers from i on, where the activation that gave them has a slope. */
template <class T, int W>
static __device__ inline void put_mask(unsigned char *mask, long i, Activation act, const Pack<W> &y) {
  if constexpr (W == wide_of<T>) {
    unsigned bits = 0;
    for (int k = 0; k < W; k++) bits |= (unsigned)(activation_back(act, y.v[k], 1) > 0) << k;
    mask[i / W] = (unsigned char)bits;
  }
}

/* ---- backward ---- */

/* Where the activation's slope is found: in a bit of every number, in what is given (NormBack), or in x alone. */
enum SlopeOf { OF_MASK, OF_GIVEN, OF_X };
template <SlopeOf OF> struct SlopeIs {
  static constexpr int together = OF == OF_GIVEN ? 2 : 4; /* rows: there are registers for so many */
};

/* f(SlopeIs<…>()): one branch for all rows. */
template <class F> static __device__ inline void with_slope(const NormBack &b, F f) {
  if (b.mask)
    f(SlopeIs<OF_MASK>());
  else if (b.given)
    f(SlopeIs<OF_GIVEN>());
  else
    f(SlopeIs<OF_X>());
}

template <class T, int W> struct BackRow {
  Line<T, W> x, dy, given;
  unsigned bits;
};

template <class T, int W, SlopeOf OF>
static __device__ inline BackRow<T, W> back_row(const NormBack &b, long i, SlopeIs<OF>) {
  BackRow<T, W> v = {};
  v.x = line_load_whole<W>((const T *)b.x + i);
  v.dy = line_load_whole<W>((const T *)b.dy + i);
  if constexpr (OF == OF_GIVEN) v.given = line_load_whole<W>((const T *)b.given + i);
  if constexpr (OF == OF_MASK) v.bits = (unsigned)b.mask[i / wide_of<T>] >> i % wide_of<T>;
  return v;
}

/* The row's dz. */
template <class T, int W, SlopeOf OF>
static __device__ inline Pack<W> gradient(const NormBack &b, const BackRow<T, W> &row, const Pack<W> &scale,
                                          const Pack<W> &shift, SlopeIs<OF>) {
  Pack<W> d = widened(row.dy);
  for (int k = 0; k < W; k++) {
    if constexpr (OF == OF_MASK) {
      d.v[k] = row.bits >> k & 1 ? d.v[k] : 0;
    } else {
      float v = widened(row.x.v[k]) * scale.v[k] + shift.v[k];
      if constexpr (OF == OF_GIVEN)
        v = b.act == ACT_SILU ? v + widened(row.given.v[k]) : widened(row.given.v[k]);
      d.v[k] = activation_back(b.act, v, d.v[k]);
    }
  }
  return d;
}

#endif
