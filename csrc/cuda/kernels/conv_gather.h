/* A convolution seen from its results, for kernels: forward and the gradient of the images are the same sums, over the
 * places of another image (the source) times weights. A gradient whose stride is not 1 falls into phases, results with
 * the same remainder, which take the same taps. C++. */
#ifndef CUDA_KERNELS_CONV_GATHER_H
#define CUDA_KERNELS_CONV_GATHER_H

#include "cuda/kernels/activation.h"
#include "cuda/kernels/conv.h"
#include "cuda/kernels/numbers.h"
#include "cuda/launch.h"

/* One axis: sizes of the source and the results, taps, and how windows move. */
struct GatherAxis {
  int source, results, taps, stride, dilation, before;
  int phases, every; /* of the taps that a result could take, a phase takes one in so many */
};

struct Gather {
  GatherAxis y, x;
  Numbers from;                        /* images, source y, source x, pitch */
  int images, pitch, channels, groups; /* channels: of the source in a group */
  Numbers weights;
  int w_channels; /* of a tap */
  bool round;     /* the source to bfloat16 */
  Numbers to;     /* images, results y, results x, outputs; the residual is of the same kind */
  int outputs;    /* of a group */
  Epilogue end;
  bool add, wide_end; /* wide_end: results can be moved four at once */
};

/* Result q of a phase: tap j (weight first_tap + j * every) meets source q * step + first + j * reach; the result
 * stands at q * stride + phase. */
struct Phase {
  int results, taps, step, first, reach, first_tap, every, apart, at;
};

template <bool DATA> static __device__ inline Phase phase_of(const GatherAxis &a, int phase) {
  if (!DATA) return {a.results, a.taps, a.stride, -a.before, a.dilation, 0, 1, 1, 0};
  int tap = 0;
  while (tap < a.every && (phase + a.before - tap * a.dilation) % a.stride) tap++;
  bool some = tap < a.every && tap < a.taps;
  return {(a.results - phase + a.stride - 1) / a.stride,
          some ? (a.taps - 1 - tap) / a.every + 1 : 0,
          1,
          some ? (phase + a.before - tap * a.dilation) / a.stride : 0,
          -(a.dilation * a.every / a.stride),
          tap,
          a.every,
          a.stride,
          phase};
}

enum { OUTSIDE = -(1 << 30) }; /* a row from which no tap meets an image */

/* Place of number p of images of h x w. */
struct PixelAt {
  int image, y, x;
};

static __device__ inline PixelAt pixel_of(long p, int h, int w) {
  if (p >> 31) {
    long row = p / w;
    return {(int)(row / h), (int)(row % h), (int)(p % w)};
  }
  unsigned row = (unsigned)p / (unsigned)w;
  return {(int)(row / (unsigned)h), (int)(row % (unsigned)h), (int)((unsigned)p % (unsigned)w)};
}

/* `by` pixels further. */
static __device__ inline void advance_pixel(PixelAt &p, int by, int h, int w) {
  p.x += by;
  while (p.x >= w) {
    p.x -= w;
    if (++p.y == h) p.y = 0, p.image++;
  }
}

/* ---- numbers ---- */

static __device__ inline float source_at(const Gather &g, long i) {
  float v = number_at(g.from, i);
  return g.round ? rounded_bfloat16(v) : v;
}

static __device__ inline float4 sources_at(const Gather &g, long i) {
  float4 v = numbers_at(g.from, i);
  return g.round ? make_float4(rounded_bfloat16(v.x), rounded_bfloat16(v.y), rounded_bfloat16(v.z),
                               rounded_bfloat16(v.w))
                 : v;
}

/* Where the weight of an output, a tap and a channel of a group stands. */
template <bool DATA>
static __device__ inline long weight_place(const Gather &g, int group, int output, int tap, int channel) {
  int taps = g.y.taps * g.x.taps, o = DATA ? group * g.channels + channel : group * g.outputs + output;
  return ((long)o * taps + tap) * g.w_channels + (DATA ? output : channel);
}

/* ---- the end ---- */

static __device__ inline float finished(const Gather &g, float v, long at, int channel) {
  if (g.end.scale) v *= g.end.scale[channel];
  if (g.end.shift) v += g.end.shift[channel];
  if (g.end.residual) v += number_at({(void *)g.end.residual, g.to.dtype}, at);
  return activated(g.end.act, v);
}

/* The results of four channels of a pixel, of which `left` are there. */
static __device__ inline void finish(const Gather &g, long pixel, int channel, int left, const float *sum) {
  long at = pixel * g.groups * g.outputs + channel;
  if (left <= 0) return;
  if (g.wide_end) {
    float4 v = g.add ? numbers_at(g.to, at) : make_float4(0, 0, 0, 0);
    put_numbers(g.to, at,
                make_float4(finished(g, v.x + sum[0], at, channel),
                            finished(g, v.y + sum[1], at + 1, channel + 1),
                            finished(g, v.z + sum[2], at + 2, channel + 2),
                            finished(g, v.w + sum[3], at + 3, channel + 3)));
  } else {
    for (int k = 0; k < 4 && k < left; k++)
      put_number(g.to, at + k,
                 finished(g, (g.add ? number_at(g.to, at + k) : 0) + sum[k], at + k, channel + k));
  }
}

/* ---- the host's side ---- */

static inline int divisor(int a, int b) { return b ? divisor(b, a % b) : a; }

static inline GatherAxis gather_axis(bool data, long image, long windows, long taps, long stride,
                                     long dilation, long before) {
  GatherAxis a = {(int)image, (int)windows, (int)taps, (int)stride, (int)dilation, (int)before, 1, 1};
  if (data) {
    a.source = (int)windows;
    a.results = (int)image;
    a.phases = (int)(stride < image ? stride : image);
    a.every = (int)stride / divisor((int)stride, (int)dilation);
  }
  return a;
}

static inline Gather gather_of(bool data, const ConvShape *c, Numbers from, ConvWeights w, const Epilogue *e,
                               Numbers to, bool add) {
  Gather g = {};
  int ci = (int)(c->ci / c->groups), co = (int)(c->co / c->groups);
  g.y = gather_axis(data, c->h, c->ho, c->kh, c->stride_h, c->dilation_h, c->top);
  g.x = gather_axis(data, c->w, c->wo, c->kw, c->stride_w, c->dilation_w, c->left);
  g.from = from;
  g.images = (int)c->n;
  g.pitch = (int)(data ? c->co : c->ci);
  g.channels = data ? co : ci;
  g.outputs = data ? ci : co;
  g.groups = (int)c->groups;
  g.weights = numbers_of(w.data, w.dtype);
  g.w_channels = ci;
  g.round = w.round;
  g.to = to;
  if (e) g.end = *e;
  g.add = add;
  g.wide_end = g.outputs % 4 == 0 && aligned16(to.data);
  return g;
}

/* Whether source and weights can be read four channels at once. */
static inline bool gather_wide(bool data, const Gather &g) {
  return g.channels % 4 == 0 && (!data || g.outputs % 4 == 0) && aligned16(g.from.data) &&
         aligned16(g.weights.data);
}

/* Convolutions of groups of few channels, whose numbers can be read four at once (conv_grouped.cu). */
bool gather_is_narrow(bool data, const Gather &g);
int gather_narrow_on(CudaStream s, bool data, const Gather &g);
bool weight_is_narrow(const ConvShape *c);
struct Parts;
long weight_narrow_blocks(const ConvShape *c); /* for one part */
int weight_narrow_on(CudaStream s, const Gather &g, Numbers dy, long pixels, const Parts &p);

#endif
