/* The gradient of a convolution's weights: a product whose rows are output channels, columns the taps of input channels,
 * and whose depth are the pixels, cut into parts. */
#include "cuda/kernels/conv_gather.h"
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
    weight_kernel(Gather g, Numbers dy, long pixels, long length, unsigned columns, unsigned rows) {
  unsigned b = blockIdx.x, column = b % columns;
  b /= columns;
  unsigned row = b % rows;
  b /= rows;
  int group = (int)(b % (unsigned)g.groups), all = g.y.taps * g.x.taps * g.channels;
  long part = b / (unsigned)g.groups, first = part * length,
       end = first + length < pixels ? first + length : pixels;
  long pitch = (long)g.groups * g.outputs;
  Sums<T> sum = {};
  Matrix<WIDE, Numbers> grads = {dy, g.outputs, end - first, 1, pitch, first * pitch + group * g.outputs};
  Under<WIDE> under = {g, first, end, group};
  multiply<T>(Across<T::M, Matrix<WIDE, Numbers>>(grads, (long)row * T::M),
              Across<T::N, Under<WIDE>>(under, (long)column * T::N), end - first, sum);
#pragma unroll
  for (int i = 0; i < T::TM; i++) {
    int o = (int)(row * T::M) + row_of<T>(i);
    if (o >= g.outputs) continue;
    float *to = (float *)g.to.data + ((part * g.groups + group) * g.outputs + o) * all;
#pragma unroll
    for (int j = 0; j < T::TN; j++) {
      int k = (int)(column * T::N) + column_of<T>(j);
      if (k < all) to[k] = (g.add ? to[k] : 0) + sum.v[i][j];
    }
  }
}

enum { BUSY = 3 * 132, LEAST = 256, MOST = 8192 }; /* blocks that keep a GPU busy; pixels of a part */

static long pixels_of(const ConvShape *c) { return c->n * c->ho * c->wo; }

/* Whether tiles are 128 rows high, else 64. */
static bool is_high(long outputs) { return outputs >= 128; }

long conv_weight_parts(const ConvShape *c) {
  long pixels = pixels_of(c), columns = c->kh * c->kw * (c->ci / c->groups), outputs = c->co / c->groups;
  long blocks = weight_is_narrow(c) ? weight_narrow_blocks(c)
                                    : (long)blocks_for(outputs, is_high(outputs) ? 128 : 64) *
                                          blocks_for(columns, 64) * c->groups;
  long parts = blocks ? (BUSY + blocks - 1) / blocks : 1, most = (pixels + LEAST - 1) / LEAST;
  if (parts > most) parts = most;
  if (parts < (pixels + MOST - 1) / MOST) parts = (pixels + MOST - 1) / MOST;
  return parts > 0 ? parts : 1;
}

template <class T, bool WIDE>
static int weight_as(CudaStream s, const Gather &g, Numbers dy, long pixels, long parts) {
  unsigned columns = blocks_for((long)g.y.taps * g.x.taps * g.channels, T::N),
           rows = blocks_for(g.outputs, T::M);
  LAUNCH((weight_kernel<T, WIDE>), columns * rows * (unsigned)g.groups * (unsigned)parts, THREADS, 0, s, g,
         dy, pixels, (pixels + parts - 1) / parts, columns, rows);
  return launched("conv2d");
}

int conv_weight_on(CudaStream s, const ConvShape *c, Dtype dtype, const void *x, const void *gradient,
                   float *dw, bool add) {
  Gather g = gather_of(false, c, numbers_of(x, dtype), {}, nullptr, numbers_of(dw, F32), add);
  Numbers dy = numbers_of(gradient, dtype);
  long pixels = pixels_of(c), parts = conv_weight_parts(c), columns = (long)g.y.taps * g.x.taps * g.channels;
  bool wide = g.channels % 4 == 0 && g.outputs % 4 == 0 && aligned16(x) && aligned16(gradient);
  if (!columns || !g.outputs) return 1;
  if (wide && weight_is_narrow(c)) return weight_narrow_on(s, g, dy, pixels, parts);
  if (!wide) return weight_as<Tile<64, 64, 4, 4>, false>(s, g, dy, pixels, parts);
  if (is_high(g.outputs)) return weight_as<Tile<128, 64, 8, 4>, true>(s, g, dy, pixels, parts);
  return weight_as<Tile<64, 64, 4, 4>, true>(s, g, dy, pixels, parts);
}
