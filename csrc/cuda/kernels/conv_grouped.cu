/* Convolutions of narrow groups: too few channels to fill a tile of a product. A block sees SPAN channels, whole groups
 * side by side, with their weights in shared memory; the image comes through the cache, which holds what neighbouring
 * windows share. Depthwise convolutions are groups of one channel, of which a thread takes four. */
#include "cuda/kernels/conv_gather.h"
#include "cuda/kernels/parts.h"

enum { SPAN = 32, LANES = SPAN / 4, COLUMNS = THREADS / LANES, HIGH = 4, SHARED = 48 << 10 };
/* Blocks that keep a GPU busy; from there on a thread takes several columns of results, since weights are read once. */
enum { BUSY = 8 * 132, MOST = 8 };

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
  bool few = groups > 1 && is_few(channels) && is_few(outputs);
  return (few || is_depthwise(channels, outputs, groups)) &&
         channels * SPAN * taps * (long)sizeof(float) <= SHARED;
}

/* ---- from the image ---- */

static __device__ inline void add_scaled(float (&sum)[4], float x, float4 w) {
  sum[0] += x * w.x, sum[1] += x * w.y, sum[2] += x * w.z, sum[3] += x * w.w;
}

/* What a block has: a phase and a span of outputs, of which its threads' own begin at `lane`. */
struct Span {
  Phase y, x;
  int first_group, width, lane;
};

/* To shared memory: tap, channel of the group, output of the span. */
template <bool DATA>
static __device__ inline void fetch_weights(const Gather &g, const Span &s, float *weights) {
  int n = threadIdx.x % s.width, group = s.first_group + n / g.outputs,
      rows = s.y.taps * s.x.taps * g.channels;
  for (int i = threadIdx.x / s.width; i < rows; i += THREADS / s.width) { /* widths are powers of two */
    int channel = i % g.channels, tap = i / g.channels;
    int at =
        (s.y.first_tap + tap / s.x.taps * s.y.every) * g.x.taps + s.x.first_tap + tap % s.x.taps * s.x.every;
    long from = weight_place<DATA>(g, group, n % g.outputs, at, channel);
    weights[i * s.width + n] = group < g.groups ? number_at(g.weights, from) : 0;
  }
  __syncthreads();
}

/* sum[i] += the products of one tap, at from[i] (-1: outside the image). */
template <bool DEPTHWISE>
static __device__ inline void add_tap(const Gather &g, const float *weights, int width,
                                      const long (&from)[HIGH], float (&sum)[HIGH][4]) {
  if constexpr (DEPTHWISE) {
    float4 f = *(const float4 *)weights;
#pragma unroll
    for (int i = 0; i < HIGH; i++) {
      float4 v = from[i] < 0 ? make_float4(0, 0, 0, 0) : sources_at(g, from[i]);
      sum[i][0] += v.x * f.x, sum[i][1] += v.y * f.y, sum[i][2] += v.z * f.z, sum[i][3] += v.w * f.w;
    }
  } else {
    for (int c = 0; c < g.channels; c += 4) {
      float4 f[4];
#pragma unroll
      for (int k = 0; k < 4; k++) f[k] = *(const float4 *)(weights + (c + k) * width);
#pragma unroll
      for (int i = 0; i < HIGH; i++) {
        float4 v = from[i] < 0 ? make_float4(0, 0, 0, 0) : sources_at(g, from[i] + c);
        add_scaled(sum[i], v.x, f[0]);
        add_scaled(sum[i], v.y, f[1]);
        add_scaled(sum[i], v.z, f[2]);
        add_scaled(sum[i], v.w, f[3]);
      }
    }
  }
}

/* Four channels of HIGH results below each other. */
template <bool DEPTHWISE>
static __device__ inline void column_of_results(const Gather &g, const Span &s, const float *weights,
                                                PixelAt at) {
  int group = s.first_group + s.lane / g.outputs;
  long image = (long)at.image * g.y.source * g.x.source * g.pitch + group * g.channels;
  float sum[HIGH][4] = {};
  for (int ty = 0; ty < s.y.taps; ty++)
    for (int tx = 0; tx < s.x.taps; tx++) {
      int column = at.x * s.x.step + s.x.first + tx * s.x.reach;
      if ((unsigned)column >= (unsigned)g.x.source) continue;
      long from[HIGH];
#pragma unroll
      for (int i = 0; i < HIGH; i++) {
        int row = (at.y * HIGH + i) * s.y.step + s.y.first + ty * s.y.reach;
        bool inside = (unsigned)row < (unsigned)g.y.source;
        from[i] = inside ? image + ((long)row * g.x.source + column) * g.pitch : -1;
      }
      add_tap<DEPTHWISE>(g, weights + (ty * s.x.taps + tx) * g.channels * s.width + s.lane, s.width, from,
                         sum);
    }
#pragma unroll
  for (int i = 0; i < HIGH; i++) {
    int q = at.y * HIGH + i;
    if (q >= s.y.results) break;
    long to =
        ((long)at.image * g.y.results + q * s.y.apart + s.y.at) * g.x.results + at.x * s.x.apart + s.x.at;
    finish(g, to, s.first_group * g.outputs + s.lane, 4, sum[i]);
  }
}

/* Blocks: spans fastest, then `places` times COLUMNS columns of results, then phases. */
template <bool DATA, bool DEPTHWISE>
static __global__ void __launch_bounds__(THREADS, 2)
    narrow_kernel(Gather g, unsigned spans, unsigned blocks, int places) {
  DYNAMIC_SHARED(float, weights);
  unsigned b = blockIdx.x, span = b % spans;
  b /= spans;
  int groups = DEPTHWISE ? SPAN : groups_of(g.channels, g.outputs), phase = (int)(b / blocks);
  Span s = {phase_of<DATA>(g.y, phase / g.x.phases), phase_of<DATA>(g.x, phase % g.x.phases),
            (int)span * groups, groups * g.outputs, (int)threadIdx.x % LANES * 4};
  fetch_weights<DATA>(g, s, weights);
  if (s.lane >= s.width || s.first_group + s.lane / g.outputs >= g.groups) return;
  int bands = (s.y.results + HIGH - 1) / HIGH;
  long columns = (long)g.images * bands * s.x.results;
  long p = (long)(b % blocks) * places * COLUMNS + threadIdx.x / LANES;
  for (int i = 0; i < places && p < columns; i++, p += COLUMNS)
    column_of_results<DEPTHWISE>(g, s, weights, pixel_of(p, bands, s.x.results));
}

bool gather_is_narrow(bool data, const Gather &g) {
  return is_narrow(g.channels, g.outputs, g.groups, (long)g.y.taps * g.x.taps) && aligned16(g.from.data);
}

template <bool DATA, bool DEPTHWISE> static int narrow_as(CudaStream s, const Gather &g) {
  int groups = DEPTHWISE ? SPAN : groups_of(g.channels, g.outputs);
  long bands = ((g.y.results + g.y.phases - 1) / g.y.phases + HIGH - 1) / HIGH;
  unsigned spans = blocks_for(g.groups, groups), phases = (unsigned)(g.y.phases * g.x.phases);
  long columns = g.images * bands * ((g.x.results + g.x.phases - 1) / g.x.phases);
  long each = columns * spans * phases / (COLUMNS * BUSY);
  int places = each < 1 ? 1 : each > MOST ? MOST : (int)each;
  unsigned blocks = blocks_for(columns, COLUMNS * places);
  size_t shared = sizeof(float) * (size_t)(g.y.taps * g.x.taps * g.channels * groups * g.outputs);
  LAUNCH((narrow_kernel<DATA, DEPTHWISE>), spans * blocks * phases, THREADS, shared, s, g, spans, blocks,
         places);
  return launched("conv2d");
}

int gather_narrow_on(CudaStream s, bool data, const Gather &given) {
  Gather g = given;
  if (!is_depthwise(g.channels, g.outputs, g.groups))
    return data ? narrow_as<true, false>(s, g) : narrow_as<false, false>(s, g);
  g.wide_end = aligned16(g.to.data);
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
    narrow_weight_kernel(const __grid_constant__ Gather g, Numbers dy, long pixels, long length, int own,
                         unsigned passes, const __grid_constant__ Parts parts) {
  enum { SUMS = DEPTHWISE ? 1 : 4 };
  __shared__ float4 shared[SUMS][THREADS];
  unsigned b = blockIdx.x % parts.tiles, pass = b % passes, span = b / passes;
  long part = blockIdx.x / parts.tiles;
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
    float4 v = numbers_at(g.from, (((long)at.image * g.y.source + y) * g.x.source + x) * g.pitch +
                                      group * g.channels + channel);
    float4 d = numbers_at(dy, p * g.groups * g.outputs + group * g.outputs + output);
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
  float v[4][4] = {};
#pragma unroll
  for (int k = 0; k < SUMS; k++)
    for (int i = 0; share == 0 && i < shares; i++) {
      float4 other = shared[k][threadIdx.x + i * own];
      v[k][0] += other.x, v[k][1] += other.y, v[k][2] += other.z, v[k][3] += other.w;
    }
  if (!whole_sums(parts, v) || !mine || share > 0) return;
  long all = (long)g.y.taps * g.x.taps * g.channels;
  float *to = (float *)g.to.data + ((long)group * g.outputs + output) * all + tap * g.channels + channel;
#pragma unroll
  for (int k = 0; k < SUMS; k++)
    for (int i = 0; i < 4; i++) {
      float *place = to + (DEPTHWISE ? i * all : k * all + i);
      *place = (g.add ? *place : 0) + v[k][i];
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

int weight_narrow_on(CudaStream s, const Gather &g, Numbers dy, long pixels, const Parts &p) {
  NarrowBlocks n = narrow_blocks(g.channels, g.outputs, g.groups, g.y.taps * g.x.taps);
  long length = (pixels + p.parts - 1) / p.parts;
  unsigned blocks = p.tiles * p.parts;
  if (n.depthwise)
    LAUNCH(narrow_weight_kernel<true>, blocks, THREADS, 0, s, g, dy, pixels, length, n.own, n.passes, p);
  else
    LAUNCH(narrow_weight_kernel<false>, blocks, THREADS, 0, s, g, dy, pixels, length, n.own, n.passes, p);
  return launched("conv2d");
}
