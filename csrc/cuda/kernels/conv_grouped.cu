/* Convolutions of narrow groups: too few channels to fill a tile of a product. A block sees SPAN channels, whole groups
 * side by side, with their weights in shared memory; the image comes through the cache, which holds what neighbouring
 * windows share. Depthwise convolutions are groups of one channel, of which a thread takes four. */
#include "cuda/kernels/conv_gather.h"

enum { SPAN = 32, LANES = SPAN / 4, COLUMNS = THREADS / LANES, HIGH = 4, SHARED = 48 << 10 };

/* Groups of a block. */
static __host__ __device__ inline int groups_of(int channels, int outputs) {
  return SPAN / (channels > outputs ? channels : outputs);
}

static bool is_depthwise(long channels, long outputs, long groups) {
  return channels == 1 && outputs == 1 && groups > 1 && groups % 4 == 0;
}

static bool is_few(long channels) {
  return channels == 4 || channels == 8 || channels == 16 || channels == 32;
}

static bool is_narrow(long channels, long outputs, long groups, long taps) {
  return is_depthwise(channels, outputs, groups) ? SPAN * taps * (long)sizeof(float) <= SHARED
                                                 : groups > 1 && is_few(channels) && is_few(outputs) &&
                                                       channels * SPAN * taps * (long)sizeof(float) <= SHARED;
}

/* ---- from the image ---- */

static __device__ inline void add_scaled(float (&sum)[4], float x, float4 w) {
  sum[0] += x * w.x, sum[1] += x * w.y, sum[2] += x * w.z, sum[3] += x * w.w;
}

/* Thread: four channels of HIGH results below each other. Blocks: spans fastest, then places, phases. Shared: weights as
 * tap, channel of the group, output of the span. */
template <bool DATA, bool DEPTHWISE>
static __global__ void __launch_bounds__(THREADS, 2)
    narrow_kernel(Gather g, unsigned spans, unsigned places) {
  DYNAMIC_SHARED(float, weights);
  unsigned b = blockIdx.x, span = b % spans;
  b /= spans;
  unsigned place = b % places, number = b / places;
  Phase y = phase_of<DATA>(g.y, (int)number / g.x.phases), x = phase_of<DATA>(g.x, (int)number % g.x.phases);
  int groups = DEPTHWISE ? SPAN : groups_of(g.channels, g.outputs), first_group = (int)span * groups;
  int width = groups * g.outputs, taps = y.taps * x.taps, lane = threadIdx.x % LANES * 4;
  for (int i = threadIdx.x; i < taps * g.channels * width; i += THREADS) {
    int n = i % width, channel = i / width % g.channels, tap = i / width / g.channels;
    int group = first_group + n / g.outputs;
    int at = (y.first_tap + tap / x.taps * y.every) * g.x.taps + x.first_tap + tap % x.taps * x.every;
    weights[i] = group < g.groups
                     ? weight_at(g.weights, weight_place<DATA>(g, group, n % g.outputs, channel) +
                                                (long)at * g.w_channels)
                     : 0;
  }
  __syncthreads();
  int bands = (y.results + HIGH - 1) / HIGH;
  long p = (long)place * COLUMNS + threadIdx.x / LANES;
  int group = first_group + lane / g.outputs;
  if (p >= (long)g.images * bands * x.results || lane >= width || group >= g.groups) return;
  PixelAt at = pixel_of(p, bands, x.results);
  const float *image = g.from + (long)at.image * g.y.source * g.x.source * g.pitch + group * g.channels;
  float sum[HIGH][4] = {};
  for (int ty = 0; ty < y.taps; ty++)
    for (int tx = 0; tx < x.taps; tx++) {
      int column = at.x * x.step + x.first + tx * x.reach;
      if ((unsigned)column >= (unsigned)g.x.source) continue;
      const float *w = weights + (ty * x.taps + tx) * g.channels * width + lane, *from[HIGH];
#pragma unroll
      for (int i = 0; i < HIGH; i++) {
        int row = (at.y * HIGH + i) * y.step + y.first + ty * y.reach;
        from[i] = (unsigned)row < (unsigned)g.y.source ? image + ((long)row * g.x.source + column) * g.pitch
                                                       : nullptr;
      }
      if constexpr (DEPTHWISE) {
        float4 f = *(const float4 *)w;
#pragma unroll
        for (int i = 0; i < HIGH; i++) {
          float4 v = from[i] ? sources_at(g, from[i]) : make_float4(0, 0, 0, 0);
          sum[i][0] += v.x * f.x, sum[i][1] += v.y * f.y, sum[i][2] += v.z * f.z, sum[i][3] += v.w * f.w;
        }
      } else {
        for (int c = 0; c < g.channels; c += 4) {
          float4 f[4];
#pragma unroll
          for (int k = 0; k < 4; k++) f[k] = *(const float4 *)(w + (c + k) * width);
#pragma unroll
          for (int i = 0; i < HIGH; i++) {
            float4 v = from[i] ? sources_at(g, from[i] + c) : make_float4(0, 0, 0, 0);
            add_scaled(sum[i], v.x, f[0]);
            add_scaled(sum[i], v.y, f[1]);
            add_scaled(sum[i], v.z, f[2]);
            add_scaled(sum[i], v.w, f[3]);
          }
        }
      }
    }
#pragma unroll
  for (int i = 0; i < HIGH; i++) {
    int q = at.y * HIGH + i;
    if (q >= y.results) break;
    long to = ((long)at.image * g.y.results + q * y.apart + y.at) * g.x.results + at.x * x.apart + x.at;
    finish(g, to, first_group * g.outputs + lane, 4, sum[i]);
  }
}

bool gather_is_narrow(bool data, const Gather &g) {
  return is_narrow(g.channels, g.outputs, g.groups, (long)g.y.taps * g.x.taps) && g.w_first == 0 &&
         g.w_channels == (data ? g.outputs : g.channels) && aligned16(g.from);
}

template <bool DATA, bool DEPTHWISE> static int narrow_as(CudaStream s, const Gather &g) {
  int groups = DEPTHWISE ? SPAN : groups_of(g.channels, g.outputs);
  long bands = ((g.y.results + g.y.phases - 1) / g.y.phases + HIGH - 1) / HIGH;
  unsigned spans = blocks_for(g.groups, groups);
  unsigned places = blocks_for(g.images * bands * ((g.x.results + g.x.phases - 1) / g.x.phases), COLUMNS);
  size_t shared = sizeof(float) * (size_t)(g.y.taps * g.x.taps * g.channels * groups * g.outputs);
  LAUNCH((narrow_kernel<DATA, DEPTHWISE>), spans * places * (unsigned)(g.y.phases * g.x.phases), THREADS,
         shared, s, g, spans, places);
  return launched("conv2d");
}

int gather_narrow_on(CudaStream s, bool data, const Gather &given) {
  Gather g = given;
  if (!is_depthwise(g.channels, g.outputs, g.groups))
    return data ? narrow_as<true, false>(s, g) : narrow_as<false, false>(s, g);
  g.wide_end = aligned16(g.to);
  return data ? narrow_as<true, true>(s, g) : narrow_as<false, true>(s, g);
}

/* ---- weights ---- */

/* What a thread adds up: the products of four channels of the image with one (depthwise) or four of the gradient, under
 * one tap. Units of a span: channels fastest, then outputs, then taps; so many for each tap: */
static __host__ __device__ inline int units_of(bool depthwise, int channels, int outputs) {
  return depthwise ? LANES : groups_of(channels, outputs) * (channels / 4) * (outputs / 4);
}

/* Blocks: units fastest (`own` a block), then spans, parts. Threads that have no unit left share the pixels. */
template <bool DEPTHWISE>
static __global__ void __launch_bounds__(THREADS)
    narrow_weight_kernel(Gather g, const float *dy, long pixels, long length, int own, unsigned passes,
                         unsigned spans) {
  enum { SUMS = DEPTHWISE ? 1 : 4 };
  __shared__ float4 shared[SUMS][THREADS];
  unsigned b = blockIdx.x, pass = b % passes;
  b /= passes;
  unsigned span = b % spans;
  long part = b / spans;
  int shares = THREADS / own, unit = (int)pass * own + threadIdx.x % own, share = threadIdx.x / own;
  int groups = DEPTHWISE ? SPAN : groups_of(g.channels, g.outputs);
  int quarters = DEPTHWISE ? LANES : groups * g.channels / 4, rest = unit / quarters,
      four = unit % quarters * 4;
  int group = (int)span * groups + four / g.channels, channel = four % g.channels; /* depthwise: group, 0 */
  int output = DEPTHWISE ? 0 : rest % (g.outputs / 4) * 4, tap = DEPTHWISE ? rest : rest / (g.outputs / 4);
  bool mine = share < shares && tap < g.y.taps * g.x.taps && group < g.groups;
  float4 sum[SUMS] = {};
  long first = part * length + share, end = (part + 1) * length < pixels ? (part + 1) * length : pixels;
  PixelAt at = pixel_of(first, g.y.results, g.x.results);
  int top = tap / g.x.taps * g.y.dilation - g.y.before, left = tap % g.x.taps * g.x.dilation - g.x.before;
  for (long p = first; mine && p < end; p += shares, advance_pixel(at, shares, g.y.results, g.x.results)) {
    int y = at.y * g.y.stride + top, x = at.x * g.x.stride + left;
    if ((unsigned)y >= (unsigned)g.y.source || (unsigned)x >= (unsigned)g.x.source) continue;
    float4 v = *(const float4 *)(g.from + (((long)at.image * g.y.source + y) * g.x.source + x) * g.pitch +
                                 group * g.channels + channel);
    float4 d = *(const float4 *)(dy + p * g.groups * g.outputs + group * g.outputs + output);
    if constexpr (DEPTHWISE) {
      sum[0].x += v.x * d.x, sum[0].y += v.y * d.y, sum[0].z += v.z * d.z, sum[0].w += v.w * d.w;
    } else {
      float each[4] = {d.x, d.y, d.z, d.w};
#pragma unroll
      for (int k = 0; k < SUMS; k++) {
        sum[k].x += v.x * each[k], sum[k].y += v.y * each[k], sum[k].z += v.z * each[k],
            sum[k].w += v.w * each[k];
      }
    }
  }
  for (int k = 0; k < SUMS; k++) shared[k][threadIdx.x] = sum[k];
  __syncthreads();
  if (!mine || share > 0) return;
  long all = (long)g.y.taps * g.x.taps * g.channels;
  float *to = g.to + ((part * g.groups + group) * g.outputs + output) * all + tap * g.channels + channel;
#pragma unroll
  for (int k = 0; k < SUMS; k++) {
    for (int i = 1; i < shares; i++) {
      float4 other = shared[k][threadIdx.x + i * own];
      sum[k].x += other.x, sum[k].y += other.y, sum[k].z += other.z, sum[k].w += other.w;
    }
    float four_sums[4] = {sum[k].x, sum[k].y, sum[k].z, sum[k].w};
    for (int i = 0; i < 4; i++) {
      float *place = to + (DEPTHWISE ? i * all : k * all + i);
      *place = (g.add ? *place : 0) + four_sums[i];
    }
  }
}

bool weight_is_narrow(const ConvShape *c) {
  return is_narrow(c->ci / c->groups, c->co / c->groups, c->groups, c->kh * c->kw);
}

typedef struct NarrowBlocks {
  bool depthwise;
  int own; /* units of a block */
  unsigned passes, spans;
} NarrowBlocks;

static NarrowBlocks narrow_blocks(int channels, int outputs, int groups, int taps) {
  bool depthwise = is_depthwise(channels, outputs, groups);
  int units = units_of(depthwise, channels, outputs) * taps, own = units < THREADS ? units : THREADS;
  return {depthwise, own, blocks_for(units, own),
          blocks_for(groups, depthwise ? SPAN : groups_of(channels, outputs))};
}

long weight_narrow_blocks(const ConvShape *c) {
  NarrowBlocks n =
      narrow_blocks((int)(c->ci / c->groups), (int)(c->co / c->groups), (int)c->groups, (int)(c->kh * c->kw));
  return (long)n.passes * n.spans;
}

int weight_narrow_on(CudaStream s, const Gather &g, const float *dy, long pixels, long parts) {
  NarrowBlocks n = narrow_blocks(g.channels, g.outputs, g.groups, g.y.taps * g.x.taps);
  long length = (pixels + parts - 1) / parts;
  unsigned blocks = n.passes * n.spans * (unsigned)parts;
  if (n.depthwise)
    LAUNCH(narrow_weight_kernel<true>, blocks, THREADS, 0, s, g, dy, pixels, length, n.own, n.passes,
           n.spans);
  else
    LAUNCH(narrow_weight_kernel<false>, blocks, THREADS, 0, s, g, dy, pixels, length, n.own, n.passes,
           n.spans);
  return launched("conv2d");
}
