/* The gradient of a convolution's weights: a product whose rows are output channels, columns the taps of input channels,
 * and whose depth are the pixels, cut into parts. */
#include "cuda/kernels/conv_gather.h"
#include "cuda/kernels/parts.h"
#include "cuda/kernels/tiles.h"

/* The image's numbers under four neighbouring taps and channels, pixel by pixel. */
template <bool WIDE> struct Under {
  static constexpr int OWN = WIDE ? 1 : 4; /* places to keep: four channels of one tap lie side by side */
  struct Line {
    int y[OWN], x[OWN], channel[OWN]; /* y: far outside where there is none */
  };
  struct Place {
    long pixel;
    PixelAt at;
  };
  const Gather &g;
  long first, end; /* pixels */
  int group;

  __device__ Line line(long i) const {
    Line l;
    for (int k = 0; k < OWN; k++) {
      int column = (int)i + k, tap = column / g.channels;
      l.y[k] = tap < g.y.taps * g.x.taps ? tap / g.x.taps * g.y.dilation - g.y.before : OUTSIDE;
      l.x[k] = tap % g.x.taps * g.x.dilation - g.x.before;
      l.channel[k] = group * g.channels + column % g.channels;
    }
    return l;
  }
  __device__ Place begin(int k) const { return {first + k, pixel_of(first + k, g.y.results, g.x.results)}; }
  __device__ void advance(Place &p, int by) const {
    p.pixel += by;
    advance_pixel(p.at, by, g.y.results, g.x.results);
  }
  __device__ long under(const Line &l, int k, const Place &p) const { /* -1: outside */
    int y = p.at.y * g.y.stride + l.y[k], x = p.at.x * g.x.stride + l.x[k];
    bool inside = p.pixel < end && (unsigned)y < (unsigned)g.y.source && (unsigned)x < (unsigned)g.x.source;
    return inside ? (((long)p.at.image * g.y.source + y) * g.x.source + x) * g.pitch + l.channel[k] : -1;
  }
  __device__ float4 read(const Line &l, const Place &p) const {
    if constexpr (WIDE) {
      long from = under(l, 0, p);
      return from < 0 ? zeros() : numbers_at(g.from, from);
    } else {
      float v[4];
#pragma unroll
      for (int k = 0; k < 4; k++) {
        long from = under(l, k, p);
        v[k] = from < 0 ? 0 : number_at(g.from, from);
      }
      return make_float4(v[0], v[1], v[2], v[3]);
    }
  }
};

/* Blocks: columns fastest, then rows, groups, parts of `length` pixels. */
template <class T, bool WIDE>
static __global__ void __launch_bounds__(THREADS, T::BLOCKS)
    weight_kernel(const __grid_constant__ Gather g, Numbers dy, long pixels, long length, unsigned columns,
                  unsigned rows, const __grid_constant__ Parts parts) {
  unsigned b = blockIdx.x % parts.tiles, column = b % columns;
  b /= columns;
  unsigned row = b % rows;
  int group = (int)(b / rows), all = g.y.taps * g.x.taps * g.channels;
  long first = blockIdx.x / parts.tiles * length, end = first + length < pixels ? first + length : pixels;
  long pitch = (long)g.groups * g.outputs;
  Sums<T> sum = {};
  Matrix<WIDE, Numbers> grads = {dy, g.outputs, end - first, 1, pitch, first * pitch + group * g.outputs};
  Under<WIDE> under = {g, first, end, group};
  multiply<T>(Across<T::M, Matrix<WIDE, Numbers>>(grads, (long)row * T::M),
              Across<T::N, Under<WIDE>>(under, (long)column * T::N), end - first, sum);
  if (!whole_sums(parts, sum.v)) return;
#pragma unroll
  for (int i = 0; i < T::TM; i++) {
    int o = (int)(row * T::M) + row_of<T>(i);
    if (o >= g.outputs) continue;
    float *to = (float *)g.to.data + ((long)group * g.outputs + o) * all;
#pragma unroll
    for (int j = 0; j < T::TN; j++) {
      int k = (int)(column * T::N) + column_of<T>(j);
      if (k < all) to[k] = (g.add ? to[k] : 0) + sum.v[i][j];
    }
  }
}

enum { BUSY = 3 * 132, LEAST = 256, MOST = 8192 }; /* blocks that keep a GPU busy; pixels of a part */

static long pixels_of(const ConvShape *c) { return c->n * c->ho * c->wo; }

/* Rows of a tile. */
static int height_of(long outputs) { return outputs >= 128 ? 128 : 64; }

static bool is_wide(const ConvShape *c, const void *x, const void *gradient) {
  return c->ci / c->groups % 4 == 0 && c->co / c->groups % 4 == 0 && aligned16(x) && aligned16(gradient);
}

/* Tiles, and the parts that each is computed in. rows: of four, of a thread. */
typedef struct WeightTiles {
  bool wide, narrow;
  int height, rows;
  long tiles, parts;
} WeightTiles;

static WeightTiles tiles_of(const ConvShape *c, const void *x, const void *gradient) {
  long pixels = pixels_of(c), columns = c->kh * c->kw * (c->ci / c->groups), outputs = c->co / c->groups;
  WeightTiles t = {is_wide(c, x, gradient), false, 64, 4};
  t.narrow = t.wide && weight_is_narrow(c);
  if (t.narrow) {
    t.tiles = weight_narrow_blocks(c);
  } else {
    if (t.wide) t.height = height_of(outputs);
    t.rows = t.height / 16;
    t.tiles = (long)blocks_for(outputs, t.height) * blocks_for(columns, 64) * c->groups;
  }
  t.parts = t.tiles ? (BUSY + t.tiles - 1) / t.tiles : 1;
  long most = (pixels + LEAST - 1) / LEAST;
  if (t.parts > most) t.parts = most;
  if (t.parts < (pixels + MOST - 1) / MOST) t.parts = (pixels + MOST - 1) / MOST;
  if (t.parts < 1) t.parts = 1;
  return t;
}

ConvRoom conv_weight_room(const ConvShape *shape, const void *x, const void *gradient) {
  WeightTiles t = tiles_of(shape, x, gradient);
  return parts_room(t.parts, t.tiles, t.rows);
}

template <class T, bool WIDE>
static int weight_as(CudaStream s, const Gather &g, Numbers dy, long pixels, const Parts &p) {
  static_assert(T::TN == 4, "parts are rows of four");
  unsigned columns = blocks_for((long)g.y.taps * g.x.taps * g.channels, T::N),
           rows = blocks_for(g.outputs, T::M);
  LAUNCH((weight_kernel<T, WIDE>), p.tiles * p.parts, THREADS, 0, s, g, dy, pixels,
         (pixels + p.parts - 1) / p.parts, columns, rows, p);
  return launched("conv2d");
}

int conv_weight_on(CudaStream s, const ConvShape *c, Dtype dtype, const void *x, const void *gradient,
                   float *dw, bool add, float *scratch, unsigned *counters) {
  Gather g = gather_of(false, c, numbers_of(x, dtype), {}, nullptr, numbers_of(dw, F32), add);
  Numbers dy = numbers_of(gradient, dtype);
  long pixels = pixels_of(c);
  WeightTiles t = tiles_of(c, x, gradient);
  Parts p = {(unsigned)t.tiles, (unsigned)t.parts, scratch, counters};
  if (!t.tiles) return 1;
  if (t.narrow) return weight_narrow_on(s, g, dy, pixels, p);
  if (!t.wide) return weight_as<Tile<64, 64, 4, 4>, false>(s, g, dy, pixels, p);
  if (t.height == 128) return weight_as<Tile<128, 64, 8, 4>, true>(s, g, dy, pixels, p);
  return weight_as<Tile<64, 64, 4, 4>, true>(s, g, dy, pixels, p);
}
