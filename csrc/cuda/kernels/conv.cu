/* Convolutions as products of matrices whose sides are read where they lie (implicit GEMM): a row is a result's pixel,
 * a column its channel, the depth runs over the channels of the source, tap by tap. */
#include "cuda/kernels/conv_gather.h"
#include "cuda/kernels/parts.h"
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
    return weight_place<DATA>(g, group, output, y * g.x.taps + x, t.channel);
  }
  __device__ float4 read(int output, const Taps &t) const {
    if (output >= g.outputs || t.y >= depth.y.taps) return zeros();
    if constexpr (WIDE) {
      return numbers_at(g.weights, place(output, t));
    } else if constexpr (!DATA) {
      return each_tap(depth, t, [&](const Taps &at) { return number_at(g.weights, place(output, at)); });
    } else {
      float v[4];
      long first = place(output, t); /* outputs are neighbours here */
      int left = g.outputs - output;
#pragma unroll
      for (int k = 0; k < 4; k++) v[k] = k < left ? number_at(g.weights, first + k) : 0;
      return make_float4(v[0], v[1], v[2], v[3]);
    }
  }
};

template <int SIZE, class Source, bool ACROSS> struct SideOf { typedef Along<SIZE, Source> type; };
template <int SIZE, class Source> struct SideOf<SIZE, Source, true> { typedef Across<SIZE, Source> type; };

/* What a block has. Blocks: columns fastest, so that neighbours share what is larger, then groups, rows, phases. */
template <class T, bool DATA> struct GatherTile {
  unsigned column;
  int group;
  Phase y, x;
  long pixels, first;
  __device__ GatherTile(const Gather &g, unsigned b, unsigned columns, unsigned rows) {
    column = b % columns;
    b /= columns;
    group = (int)(b % (unsigned)g.groups);
    b /= (unsigned)g.groups;
    int phase = (int)(b / rows);
    y = phase_of<DATA>(g.y, phase / g.x.phases), x = phase_of<DATA>(g.x, phase % g.x.phases);
    pixels = (long)g.images * y.results * x.results;
    first = (long)(b % rows) * T::M;
  }
};

/* Parts are of `length` products. */
template <class T, bool WIDE, bool DATA>
static __global__ void __launch_bounds__(THREADS, WIDE ? T::BLOCKS : 2) /* else registers are spilled */
    gather_kernel(const __grid_constant__ Gather g, unsigned columns, unsigned rows, int length,
                  const __grid_constant__ Parts parts) {
  typedef typename SideOf<T::N, TapWeights<WIDE, DATA>, DATA>::type WeightSide;
  Sums<T> sum = {};
  {
    GatherTile<T, DATA> tile(g, blockIdx.x % parts.tiles, columns, rows);
    if (tile.first >= tile.pixels) return;
    Depth depth = {tile.y, tile.x, g.channels, (int)(blockIdx.x / parts.tiles) * length};
    Windows<WIDE> windows = {g, depth, tile.pixels, tile.group};
    TapWeights<WIDE, DATA> weights = {g, depth, tile.group};
    long left = depth.size() - depth.first;
    if (left > 0)
      multiply<T>(Along<T::M, Windows<WIDE>>(windows, tile.first),
                  WeightSide(weights, (long)tile.column * T::N), left < length ? left : length, sum);
  }
  if (!whole_sums(parts, sum.v)) return;
  GatherTile<T, DATA> tile(g, block_anew() % parts.tiles, columns, rows);
#pragma unroll
  for (int i = 0; i < T::TM; i++) {
    long p = tile.first + row_of<T>(i);
    if (p >= tile.pixels) continue;
    if (DATA) {
      PixelAt at = pixel_of(p, tile.y.results, tile.x.results);
      p = ((long)at.image * g.y.results + at.y * tile.y.apart + tile.y.at) * g.x.results +
          at.x * tile.x.apart + tile.x.at;
    }
    int n = (int)(tile.column * T::N) + column_of<T>(0);
    finish(g, p, tile.group * g.outputs + n, g.outputs - n, sum.v[i]);
  }
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

template <class T, bool WIDE, bool DATA> static int gather_as(CudaStream s, const Gather &g, Parts p) {
  static_assert(T::TN == 4, "parts are rows of four");
  unsigned columns = blocks_for(g.outputs, T::N), rows = blocks_for(phase_rows(g), T::M);
  int length = ((phase_depth(g) + (int)p.parts - 1) / (int)p.parts + DEPTH - 1) / DEPTH * DEPTH;
  p.tiles = columns * rows * (unsigned)(g.y.phases * g.x.phases * g.groups);
  LAUNCH((gather_kernel<T, WIDE, DATA>), p.tiles * p.parts, THREADS, 0, s, g, columns, rows, length, p);
  return launched("conv2d");
}

enum { BUSY = 2 * 132, LEAST = 128, MOST = 16 }; /* blocks that keep a GPU busy; products of a part; parts */

/* Blocks of m x n tiles. */
static long blocks_of(const Gather &g, int m, int n) {
  return (long)blocks_for(phase_rows(g), m) * blocks_for(g.outputs, n) * g.groups * g.y.phases * g.x.phases;
}

template <bool DATA> static int tiles_on(CudaStream s, const Gather &g, const Parts &p) {
  if (!gather_wide(DATA, g)) return gather_as<Tile<64, 64, 4, 4>, false, DATA>(s, g, p);
  if (g.outputs <= 32) return gather_as<Tile<128, 32, 4, 4>, true, DATA>(s, g, p);
  if (blocks_of(g, 128, 64) >= BUSY) return gather_as<Tile<128, 64, 8, 4>, true, DATA>(s, g, p);
  return gather_as<Tile<64, 64, 4, 4>, true, DATA>(s, g, p);
}

static unsigned parts_of(bool data, const Gather &g) {
  long blocks = blocks_of(g, 64, 64), most = phase_depth(g) / LEAST;
  long parts = blocks && !gather_is_narrow(data, g) ? BUSY / blocks : 1;
  if (parts > most) parts = most;
  return parts > MOST ? MOST : parts > 1 ? (unsigned)parts : 1;
}

ConvRoom conv_room(bool data, const ConvShape *shape) {
  Gather g = gather_of(data, shape, {}, {}, nullptr, {}, false);
  return parts_room(parts_of(data, g), blocks_of(g, 64, 64),
                    4); /* no other tile that is cut has fewer outputs */
}

template <bool DATA> static int gather_on(CudaStream s, const Gather &g, float *scratch, unsigned *counters) {
  if (!g.images || !g.y.results || !g.x.results || !g.outputs) return 1;
  if (gather_is_narrow(DATA, g)) return gather_narrow_on(s, DATA, g);
  return tiles_on<DATA>(s, g, {0, scratch ? parts_of(DATA, g) : 1, scratch, counters});
}

int conv_forward_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *x, ConvWeights weight,
                    const Epilogue *e, void *y, bool add, float *scratch, unsigned *counters) {
  return gather_on<false>(s,
                          gather_of(false, shape, numbers_of(x, dtype), weight, e, numbers_of(y, dtype), add),
                          scratch, counters);
}

int conv_data_on(CudaStream s, const ConvShape *shape, Dtype dtype, const void *dy, ConvWeights weight,
                 const Epilogue *e, void *dx, bool add, float *scratch, unsigned *counters) {
  return gather_on<true>(s,
                         gather_of(true, shape, numbers_of(dy, dtype), weight, e, numbers_of(dx, dtype), add),
                         scratch, counters);
}
