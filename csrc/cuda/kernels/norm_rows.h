/* What the kernels of normalisation are made of: moments of a thread's rows and what follows from them; the passes over
 * its rows. C++. */
#ifndef CUDA_KERNELS_NORM_ROWS_H
#define CUDA_KERNELS_NORM_ROWS_H

#include "cuda/kernels/channels.h"
#include "cuda/kernels/norm.h"
#include "cuda/kernels/norm_gradient.h"
#include "cuda/kernels/team.h"

/* ---- statistics ---- */

/* Mean and squared differences of so many rows. */
template <int W> struct Moments {
  float rows;
  Pack<W> mean, squares;
};

/* Of two sets of rows together (Chan, Golub, LeVeque 1983). */
template <int W> static __device__ inline void join(Moments<W> &a, const Moments<W> &b) {
  float all = a.rows + b.rows, share = all > 0 ? b.rows / all : 0;
  for (int k = 0; k < W; k++) {
    float d = b.mean.v[k] - a.mean.v[k];
    a.mean.v[k] += d * share;
    a.squares.v[k] += b.squares.v[k] + d * d * a.rows * share;
  }
  a.rows = all;
}

/* Of a block's rows of threads, in its first row. All threads call it. */
template <int W> static __device__ inline Moments<W> over_rows(const Moments<W> &m, unsigned lanes) {
  return over_rows(m, lanes, [](Moments<W> &a, const Moments<W> &b) { join(a, b); });
}

/* A thread takes some rows at a time: their mean is theirs alone, so that nothing large is subtracted; and all are
 * counted from the first row, `base`, which keeps the digits of numbers that lie together far from 0. */
template <class T, int W>
static __device__ inline Moments<W> moments_of(const Rows &n, const Share<W> &w, const T *x,
                                               const Pack<W> &base) {
  enum { AT_ONCE = 4 };
  Moments<W> all = {};
  for (long r = w.row; r < w.end; r += AT_ONCE * w.step) {
    Pack<W> v[AT_ONCE];
    Moments<W> some = {};
    for (int i = 0; i < AT_ONCE; i++) {
      bool there = r + i * w.step < w.end;
      v[i] = pack_load<W>(x + (there ? r + i * w.step : r) * n.channels + w.channel);
      some.rows += there;
      for (int k = 0; k < W; k++) {
        v[i].v[k] -= base.v[k];
        some.mean.v[k] += there ? v[i].v[k] : 0;
      }
    }
    for (int k = 0; k < W; k++) some.mean.v[k] /= some.rows;
    for (int i = 0; i < AT_ONCE; i++)
      for (int k = 0; k < W; k++) {
        float d = v[i].v[k] - some.mean.v[k];
        some.squares.v[k] += r + i * w.step < w.end ? d * d : 0;
      }
    join(all, some);
  }
  return all;
}

/* What squared differences are divided by, for the variance and for the running one, as factors: divisions and roots of
 * doubles are calls, for which registers are cleared. */
struct Shares {
  double rows, running;
};
static inline Shares shares_of(double rows) {
  return {rows > 0 ? 1 / rows : 0, rows > 1 ? 1 / (rows - 1) : 0}; /* running: 0: it stays */
}

/* 1 / sqrt(v), by Newton from float32's. */
static __device__ inline double inverse_root(double v) {
  float first = rsqrtf((float)v);
  double h = (double)first;
  return first > 0 && first < INFINITY ? h * (1.5 - 0.5 * v * h * h) : h;
}

/* In training the running statistics move by these, if there are some. */
static __device__ inline void move_running(const NormStatistics &a, long channel, const Shares &share,
                                           double mean, double squares) {
  if (!a.running_mean) return;
  float *m = a.running_mean + channel, *v = a.running_var + channel;
  *m = (float)((1 - a.momentum) * (double)*m + a.momentum * mean);
  if (share.running > 0) *v = (float)((1 - a.momentum) * (double)*v + a.momentum * squares * share.running);
}

static __device__ inline void put_scale(const NormStatistics &a, long at, long channel, double mean,
                                        double inverse) {
  double scale = (a.weight ? (double)a.weight[channel] : 1) * inverse;
  a.scale[at] = (float)scale;
  a.shift[at] = (float)((a.bias ? (double)a.bias[channel] : 0) - mean * scale);
}

/* What an image's, or all images', moments come to, at channel `channel` of set `at`. mean: with the base. */
static __device__ inline void put_statistics(const NormStatistics &a, long at, long channel,
                                             const Shares &share, double mean, double squares) {
  double var = squares * share.rows;
  if (a.running) {
    mean = (double)a.running_mean[channel];
    var = (double)a.running_var[channel];
  } else
    move_running(a, channel, share, mean, squares);
  double inverse = inverse_root(var + a.eps);
  a.mean[at] = (float)mean;
  a.inverse[at] = (float)inverse;
  put_scale(a, at, channel, mean, inverse);
}

/* The same from sums that are known, for all channels of a block, if they say enough: squared differences are the
 * squares' sum less what the mean has of it, which must not be nearly all. `writes`: the block that writes them. All
 * threads of all blocks of these channels call it, and agree. */
template <int W>
static __device__ inline bool put_known(const NormStatistics &a, const Lanes &l, const Share<W> &w,
                                        const Shares &share, bool writes) {
  const double MOST = 256; /* times the variance, the mean's square: it costs 8 of float32's 24 bits */
  bool unknown = false;
  if (!a.sums) return false;
  for (int k = 0; w.inside && k < W; k++) {
    double sum = (double)a.sums[w.channel + k], square = sum * sum * share.rows;
    unknown = unknown || !(((double)a.squares[w.channel + k] - square) * MOST >= square);
  }
  if (block_all((int)unknown, Add())) return false;
  for (int k = 0; writes && threadIdx.x < l.lanes && w.inside && k < W; k++) {
    double mean = (double)a.sums[w.channel + k] * share.rows;
    put_statistics(a, w.channel + k, w.channel + k, share, mean,
                   (double)a.squares[w.channel + k] - mean * (double)a.sums[w.channel + k]);
  }
  return true;
}

/* ---- forward ---- */

template <class T, int W>
static __device__ inline void apply_rows(const Rows &n, const Share<W> &w, const T *x, const Pack<W> &scale,
                                         const Pack<W> &shift, const T *residual, Activation act, T *y,
                                         unsigned char *mask) {
  auto load = [&](long i) { return apply_row<W>(x, residual, i); };
  rows_together<4>(n, w, load, [&](long i, const ApplyRow<T, W> &row) {
    Pack<W> v;
    for (int k = 0; k < W; k++)
      v.v[k] = activated(act, widened(row.x.v[k]) * scale.v[k] + shift.v[k] + widened(row.residual.v[k]));
    pack_store(y + i, v);
    if (mask) put_mask<T>(mask, i, act, v);
  });
}

/* ---- backward ---- */

/* sum[0], sum[1] += dz, dz (x - mean); at: where the thread's lines are. */
template <class T, int W>
static __device__ inline void sum_rows(const Rows &n, const Share<W> &w, const NormBack &b, long at,
                                       Pack<W> (&sum)[2]) {
  Pack<W> mean = pack_load<W>(b.mean + at), scale = pack_load<W>(b.scale + at),
          shift = pack_load<W>(b.shift + at);
  with_slope(b, [&](auto slope) {
    auto load = [&](long i) { return back_row<T, W>(b, i, slope); };
    rows_together<slope.together>(n, w, load, [&](long, const BackRow<T, W> &row) {
      Pack<W> d = gradient(b, row, scale, shift, slope);
      for (int k = 0; k < W; k++) {
        sum[0].v[k] += d.v[k];
        sum[1].v[k] += d.v[k] * (widened(row.x.v[k]) - mean.v[k]);
      }
    });
  });
}

template <class T, int W>
static __device__ inline void back_rows(const Rows &n, const Share<W> &w, const NormBack &b, long at) {
  Pack<W> mean = pack_load<W>(b.mean + at), scale = pack_load<W>(b.scale + at),
          shift = pack_load<W>(b.shift + at);
  Pack<W> slope = pack_load<W>(b.slope + at), offset = pack_load<W>(b.offset + at);
  with_slope(b, [&](auto of) {
    auto load = [&](long i) { return back_row<T, W>(b, i, of); };
    rows_together<of.together>(n, w, load, [&](long i, const BackRow<T, W> &row) {
      Pack<W> d = gradient(b, row, scale, shift, of);
      if (b.dr) pack_put((T *)b.dr + i, d, b.dr_add);
      if (!b.dx) return;
      for (int k = 0; k < W; k++)
        d.v[k] = scale.v[k] * d.v[k] + slope.v[k] * (widened(row.x.v[k]) - mean.v[k]) + offset.v[k];
      pack_put((T *)b.dx + i, d, b.dx_add);
    });
  });
}

/* Slope and offset of the image's line at `at`. */
static __device__ inline void put_line(const NormLines &to, long at, double scale, double sum,
                                       double product) {
  double h = (double)to.inverse[at];
  to.slope[at] = (float)(-to.share * scale * h * h * product);
  to.offset[at] = (float)(-to.share * scale * sum);
}

static __device__ inline void put_weights(const NormLines &to, long channel, float weight, float bias) {
  if (to.dweight) to.dweight[channel] = (to.weight_add ? to.dweight[channel] : 0) + weight;
  if (to.dbias) to.dbias[channel] = (to.bias_add ? to.dbias[channel] : 0) + bias;
}

#endif
