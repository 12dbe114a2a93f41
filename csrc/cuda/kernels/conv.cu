/* Convolutions as products of matrices whose sides are read where they lie (implicit GEMM): a row is a result's pixel,
 * a column its channel, the depth runs over the channels of the source, tap by tap. */
#include "cuda/kernels/conv_gather.h"
#include "cuda/kernels/tiles.h"

/* Where the depth has come to. */
struct Taps {
  int y, x, channel;
};

/* Two dimensions of taps with channels, for both sides. */
struct Depth {
  Phase y, x;
  int channels, first; /* first: where a part begins */
  __device__ long size() const { return (long)y.taps * x.taps * channels; }
  __device__ void advance(Taps &t, int by) const {
    t.channel += by;
    while (t.channel >= channels) {
      t.channel -= channels;
      if (++t.x == x.taps) t.x = 0, t.y++;
    }
  }
  __device__ Taps begin(int k) const {
    int at = first + k, tap = at / channels;
    return {tap / x.taps, tap % x.taps, at % channels};
  }
};

/* Reads four numbers along the depth one by one: one(taps) each. */
template <class One> static __device__ inline float4 each_tap(const Depth &d, Taps t, One one) {
  float v[4];
#pragma unroll
  for (int k = 0; k < 4; k++) {
    v[k] = t.y < d.y.taps ? one(t) : 0;
    d.advance(t, 1);
  }
  return make_float4(v[0], v[1], v[2], v[3]);
}

template <bool WIDE> struct Windows {
  struct Line {
    long image; /* where the first channel of the group is */
    int y, x;   /* of tap 0; far outside for a row that is not there */
  };
  typedef Taps Place;
  const Gather &g;
  const Depth &depth;
  long pixels;
  int group;

  __device__ Line line(long i) const {
    if (i >= pixels) return {0, OUTSIDE, 0};
    PixelAt p = pixel_of(i, depth.y.results, depth.x.results);
    return {(long)p.image * g.y.source * g.x.source * g.pitch + group * g.channels,
            p.y * depth.y.step + depth.y.first, p.x * depth.x.step + depth.x.first};
  }
  __device__ Taps begin(int k) const { return depth.begin(k); }
  __device__ void advance(Taps &t, int by) const { depth.advance(t, by); }
  __device__ long under(const Line &l, const Taps &t) const { /* -1: outside */
    int y = l.y + t.y * depth.y.reach, x = l.x + t.x * depth.x.reach;
    bool inside = (unsigned)y < (unsigned)g.y.source && (unsigned)x < (unsigned)g.x.source;
    return inside ? l.image + ((long)y * g.x.source + x) * g.pitch + t.channel : -1;
  }
  __device__ float4 read(const Line &l, const Taps &t) const {
    if constexpr (WIDE) {
      long p = t.y < depth.y.taps ? under(l, t) : -1;
      return p < 0 ? zeros() : sources_at(g, p);
    } else {
      return each_tap(depth, t, [&](const Taps &at) {
        long p = under(l, at);
        return p < 0 ? 0 : source_at(g, p);
      });
    }
  }
};

/* Forward neighbours lie along the depth, in the gradient of the images across it. */
template <bool WIDE, bool DATA> struct TapWeights {
  typedef int Line; /* an output of the group, or four */
  typedef Taps Place;
  const Gather &g;
  const Depth &depth;
  int group;

  __device__ int line(long i) const { return (int)i; }
  __device__ Taps begin(int k) const { return depth.begin(k); }
  __device__ void advance(Taps &t, int by) const { depth.advance(t, by); }
  __device__ long place(int output, const Taps &t) const {
    int y = depth.y.first_tap + t.y * depth.y.every, x = depth.x.first_tap + t.x * depth.x.every;
    return weight_place<DATA>(g, group, output, t.channel) + (long)(y * g.x.taps + x) * g.w_channels;
  }
  __device__ float4 read(int output, const Taps &t) const {
    if (output >= g.outputs || t.y >= depth.y.taps) return zeros();
    if constexpr (WIDE) {
      return numbers_at(g.weights, place(output, t));
    } else if constexpr (!DATA) {
      return each_tap(depth, t, [&](const Taps &at) { return number_at(g.weights, place(output, at)); });
    } else {
      float v[4];
#pragma unroll
      for (int k = 0; k < 4; k++)
        v[k] = output + k < g.outputs ? number_at(g.weights, place(output + k, t)) : 0;
      return make_float4(v[0], v[1], v[2], v[3]);
    }
  }
};

template <int SIZE, class Source, bool ACROSS> struct SideOf { typedef Along<SIZE, Source> type; };
template <int SIZE, class Source> struct SideOf<SIZE, Source, true> { typedef Across<SIZE, Source> type; };

/* Blocks: columns fastest, so that neighbours share what is larger, then groups, rows, phases, parts of `length`
 * products. With several parts g.to has room for them behind each other. */
template <class T, bool WIDE, bool DATA>
static __global__ void __launch_bounds__(THREADS, T::BLOCKS)
    gather_kernel(Gather g, unsigned columns, unsigned rows, int length) {
  typedef typename SideOf<T::N, TapWeights<WIDE, DATA>, DATA>::type WeightSide;
  unsigned b = blockIdx.x, column = b % columns;
  b /= columns;
  int group = (int)(b % (unsigned)g.groups);
  b /= (unsigned)g.groups;
  unsigned row = b % rows, phases = (unsigned)(g.y.phases * g.x.phases), part = b / rows / phases;
  int phase = (int)(b / rows % phases);
  Depth depth = {phase_of<DATA>(g.y, phase / g.x.phases), phase_of<DATA>(g.x, phase % g.x.phases), g.channels,
                 (int)part * length};
  long pixels = (long)g.images * depth.y.results * depth.x.results, first = (long)row * T::M;
  if (first >= pixels) return;
  Sums<T> sum = {};
  Windows<WIDE> windows = {g, depth, pixels, group};
  TapWeights<WIDE, DATA> weights = {g, depth, group};
  long left = depth.size() - depth.first;
  if (left > 0)
    multiply<T>(Along<T::M, Windows<WIDE>>(windows, first), WeightSide(weights, (long)column * T::N),
                left < length ? left : length, sum);
  long behind = (long)part * g.images * g.y.results * g.x.results;
#pragma unroll
  for (int i = 0; i < T::TM; i++) {
    long p = first + row_of<T>(i);
    if (p >= pixels) continue;
    if (DATA) {
      PixelAt at = pixel_of(p, depth.y.results, depth.x.results);
      p = ((long)at.image * g.y.results + at.y * depth.y.apart + depth.y.at) * g.x.results +
          at.x * depth.x.apart + depth.x.at;
    }
#pragma unroll
    for (int j = 0; j < T::TN; j += 4) {
      int n = (int)(column * T::N) + column_of<T>(j);
      finish(g, behind + p, group * g.outputs + n, g.outputs - n, sum.v[i] + j);
    }
  }
}

/* The sums of parts, four channels a thread. */
static __global__ void parts_kernel(long n, Gather g, int parts, const float *from) {
  long i = INDEX;
  if (i >= n) return;
  int all = g.groups * g.outputs, fours = (all + 3) / 4, channel = (int)(i % fours) * 4;
  long pixel = i / fours, step = (long)g.images * g.y.results * g.x.results * all;
  float sum[4] = {};
  from += pixel * all + channel;
  for (int part = 0; part < parts; part++, from += step)
    for (int k = 0; k < 4 && channel + k < all; k++) sum[k] += from[k];
  finish(g, pixel, channel, all - channel, sum);
}

/* Rows of the largest phase. */
static long phase_rows(const Gather &g) {
  return (long)g.images * ((g.y.results + g.y.phases - 1) / g.y.phases) *
         ((g.x.results + g.x.phases - 1) / g.x.phases);
}

/* Its depth. */
static int phase_depth(const Gather &g) {
  return (g.y.taps + g.y.every - 1) / g.y.every * ((g.x.taps + g.x.every - 1) / g.x.every) * g.channels;
}

template <class T, bool WIDE, bool DATA> static int gather_as(CudaStream s, const Gather &g, int parts) {
  unsigned columns = blocks_for(g.outputs, T::N), rows = blocks_for(phase_rows(g), T::M);
  unsigned others = (unsigned)(g.y.phases * g.x.phases * g.groups * parts);
  int length = ((phase_depth(g) + parts - 1) / parts + DEPTH - 1) / DEPTH * DEPTH;
  LAUNCH((gather_kernel<T, WIDE, DATA>), columns * rows * others, THREADS, 0, s, g, columns, rows, length);
  return launched("conv2d");
}

enum { BUSY = 2 * 132, LEAST = 128, MOST = 16 }; /* blocks that keep a GPU busy; products of a part; parts */

/* Blocks of m x n tiles. */
static long blocks_of(const Gather &g, int m, int n) {
  return (long)blocks_for(phase_rows(g), m) * blocks_for(g.outputs, n) * g.groups * g.y.phases * g.x.phases;
}

template <bool DATA> static int tiles_on(CudaStream s, const Gather &g, int parts) {
  if (!gather_wide(DATA, g)) return gather_as<Tile<64, 64, 4, 4>, false, DATA>(s, g, parts);
  if (g.outputs <= 32) return gather_as<Tile<128, 32, 4, 4>, true, DATA>(s, g, parts);
  if (blocks_of(g, 128, 64) >= BUSY) return gather_as<Tile<128, 64, 8, 4>, true, DATA>(s, g, parts);
  return gather_as<Tile<64, 64, 4, 4>, true, DATA>(s, g, parts);
}

static int parts_of(bool data, const Gather &g) {
  long blocks = blocks_of(g, 64, 64), most = phase_depth(g) / LEAST;
  long parts = blocks && !gather_is_narrow(data, g) ? BUSY / blocks : 1;
  if (parts > most) parts = most;
  return parts > MOST ? MOST : parts > 1 ? (int)parts : 1;
}

size_t conv_scratch(bool data, const ConvShape *shape) {
  Gather g = gather_of(data, shape, {}, {}, nullptr, {}, false);
  int parts = parts_of(data, g);
  return parts > 1 ? (size_t)parts * g.images * g.y.results * g.x.results * g.groups * g.outputs : 0;
}

template <bool DATA> static int gather_on(CudaStream s, const Gather &g, float *scratch) {
  long fours = (long)g.images * g.y.results * g.x.results * ((g.groups * g.outputs + 3) / 4);
  if (!fours) return 1;
  if (gather_is_narrow(DATA, g)) return gather_narrow_on(s, DATA, g);
  if (!scratch) return tiles_on<DATA>(s, g, 1);
  Gather parted = g;
  int parts = parts_of(DATA, g);
  parted.to = numbers_of(scratch, F32);
  parted.end = {};
  parted.add = false;
  parted.wide_end = g.outputs % 4 == 0 && aligned16(scratch);
  if (!tiles_on<DATA>(s, parted, parts)) return 0;
  LAUNCH(parts_kernel, blocks_for(fours), THREADS, 0, s, fours, g, parts, (const float *)scratch);
  return launched("conv2d");
}

int conv_forward_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *x, ConvWeights weight,
                    const Epilogue *e, void *y, bool add, float *scratch) {
  return gather_on<false>(
      s, gather_of(false, shape, numbers_of(x, dtype), weight, e, numbers_of(y, dtype), add), scratch);
}

int conv_data_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *dy, ConvWeights weight,
                 const Epilogue *e, void *dx, bool add, float *scratch) {
  return gather_on<true>(
      s, gather_of(true, shape, numbers_of(dy, dtype), weight, e, numbers_of(dx, dtype), add), scratch);
}
