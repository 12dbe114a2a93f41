/* Inverse search of patches and their fusion (motion/isa_flow_patch.c). A patch is a team's: eight threads of a warp
 * have a column each, and add up in the order of the CPU's vectors. A block has a chunk of FLOW_ROWS rows of patches, a
 * team to each: row i is at its patch t - i in turn t, so that its left neighbour and the one above were found in turn
 * t - 1. */
#include "cuda/kernels/flow.h"

#include "cuda/kernels/bilinear.h"

enum { BLOCK = FLOW_ROWS * FLOW_PATCH };

/* One level, as kernels take it. */
struct Patches {
  FlowImage a, b, ax, ay;
  long rows, cols;
  float *u, *v;
};

static Patches patches_of(const FlowSearch *s) {
  return {*s->a, *s->b, *s->ax, *s->ay, s->rows, s->cols, s->u, s->v};
}

/* Number blockIdx.y of the series that b is. */
static __device__ inline Patches of_series(Patches s) {
  s.u += blockIdx.y * s.b.series.apart;
  s.v += blockIdx.y * s.b.series.apart;
  s.b = of_series(s.b, blockIdx.y);
  return s;
}

/* ---- where to start ---- */

static __device__ float field_at(const FlowField &f, const float *plane, float x, float y) {
  x = x > 0 ? x : 0;
  y = y > 0 ? y : 0;
  long ix = (long)x < f.w - 1 ? (long)x : f.w - 1, iy = (long)y < f.h - 1 ? (long)y : f.h - 1;
  return bilinear_on(plane, 1, ix, iy, x - (float)ix, y - (float)iy, f.w, f.h, f.stride);
}

static __global__ void start_kernel(Patches all, bool any, FlowField all_coarse) {
  Patches s = of_series(all);
  FlowField coarse = of_series(all_coarse, blockIdx.y);
  long i = INDEX;
  if (i >= s.rows * s.cols) return;
  float u = 0, v = 0;
  if (any) {
    float middle = 0.5f * (FLOW_PATCH - 1);
    float x = 0.5f * ((float)flow_place(i % s.cols, s.a.w) + middle - 0.5f);
    float y = 0.5f * ((float)flow_place(i / s.cols, s.a.h) + middle - 0.5f);
    u = field_at(coarse, coarse.u, x, y);
    v = field_at(coarse, coarse.v, x, y);
  }
  s.u[i] = 2 * u;
  s.v[i] = 2 * v;
}

int flow_start_on(CudaStream s, const FlowSearch *search, const FlowField *coarse) {
  FlowField from = {};
  if (coarse) from = *coarse;
  LAUNCH(start_kernel, series_blocks(search->rows * search->cols, search->b->series), THREADS, 0, s,
         patches_of(search), coarse != NULL, from);
  return launched("flow");
}

/* ---- the search ---- */

/* A thread's column of a patch of the first image: values, derivatives without the patch's mean; the damped inverse of
 * its 2x2 structure matrix. */
struct Column {
  float i[FLOW_PATCH], gx[FLOW_PATCH], gy[FLOW_PATCH];
  float h11, h12, h22;
};

struct Found {
  float u, v, cost, gu, gv;
};

/* The sum over a team, in the order of the CPU's sums(). */
static __device__ float team_sum(float x) {
  x += __shfl_xor_sync(~0u, x, 2);
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 4);
}

static __device__ void take_column(const Patches &s, long y, long x, int column, Column *p) {
  const float *a = s.a.at + y * s.a.stride + x + column, *ax = s.ax.at + y * s.ax.stride + x + column,
              *ay = s.ay.at + y * s.ay.stride + x + column;
  float mx = 0, my = 0, h11 = 0, h12 = 0, h22 = 0;
#pragma unroll
  for (int j = 0; j < FLOW_PATCH; j++) {
    p->i[j] = a[j * s.a.stride];
    p->gx[j] = ax[j * s.ax.stride];
    p->gy[j] = ay[j * s.ay.stride];
    mx += p->gx[j];
    my += p->gy[j];
  }
  mx = team_sum(mx) / (FLOW_PATCH * FLOW_PATCH);
  my = team_sum(my) / (FLOW_PATCH * FLOW_PATCH);
#pragma unroll
  for (int j = 0; j < FLOW_PATCH; j++) {
    p->gx[j] -= mx;
    p->gy[j] -= my;
    h11 += p->gx[j] * p->gx[j];
    h12 += p->gx[j] * p->gy[j];
    h22 += p->gy[j] * p->gy[j];
  }
  h11 = team_sum(h11) + flow_stiff;
  h12 = team_sum(h12);
  h22 = team_sum(h22) + flow_stiff;
  float det = h11 * h22 - h12 * h12;
  p->h11 = flow_damping * h22 / det;
  p->h12 = -flow_damping * h12 / det;
  p->h22 = flow_damping * h11 / det;
}

/* Where a displaced patch starts in an image of n pixels: at most one patch outside. */
static __device__ float clamp_place(float p, long n) {
  float low = -FLOW_PATCH, high = (float)n;
  return p > low ? (p < high ? p : high) : low;
}

static __device__ float across(const float *s, float fx) { return s[0] + fx * (s[1] - s[0]); }

/* How well a displacement fits: the squared difference, and its gradient by the inverse rule. */
static __device__ Found compare(const FlowImage &b, const Column &p, long x, long y, int column, float u,
                                float v) {
  float px = clamp_place((float)x + u, b.w), py = clamp_place((float)y + v, b.h);
  float xf = floorf(px), yf = floorf(py), fx = px - xf, fy = py - yf;
  const float *s = b.at + (long)yf * b.stride + (long)xf + column;
  float above = across(s, fx), sum = 0, square = 0, gu = 0, gv = 0;
#pragma unroll
  for (int j = 0; j < FLOW_PATCH; j++) {
    s += b.stride;
    float below = across(s, fx), d = above + fy * (below - above) - p.i[j];
    above = below;
    sum += d;
    square += d * d;
    gu += d * p.gx[j];
    gv += d * p.gy[j];
  }
  sum = team_sum(sum);
  square = team_sum(square);
  gu = team_sum(gu);
  gv = team_sum(gv);
  return {u, v, square - sum * sum / (FLOW_PATCH * FLOW_PATCH), gu, gv};
}

/* Gauss-Newton with the inverse rule, as long as it helps; a patch that runs away is put back. A warp goes on while one
 * of its teams does. */
static __device__ Found descend(const FlowImage &b, const Column &p, long x, long y, int column, Found start,
                                bool going) {
  Found best = start;
  for (int round = 0; round < FLOW_DESCENTS; round++) {
    int any = going;
    any |= __shfl_xor_sync(~0u, any, 8);
    any |= __shfl_xor_sync(~0u, any, 16);
    if (!any) break;
    float du = p.h11 * best.gu + p.h12 * best.gv, dv = p.h12 * best.gu + p.h22 * best.gv;
    Found next = compare(b, p, x, y, column, best.u - du, best.v - dv);
    going = going && next.cost < best.cost;
    if (going) best = next;
    going = going && !(du * du + dv * dv < flow_still);
  }
  float mu = best.u - start.u, mv = best.v - start.v;
  return mu * mu + mv * mv > FLOW_PATCH * FLOW_PATCH ? start : best;
}

static __device__ void better(Found *best, Found other, bool there) {
  if (there && other.cost < best->cost) *best = other;
}

static __global__ void search_kernel(Patches all, int backward) {
  Patches s = of_series(all);
  __shared__ float last[2][FLOW_ROWS][2]; /* what the rows have found in this turn and the one before */
  const int row = threadIdx.x / FLOW_PATCH, column = threadIdx.x % FLOW_PATCH;
  long begin = (long)blockIdx.x * FLOW_ROWS - (backward ? FLOW_ROWS / 2 : 0), end = begin + FLOW_ROWS;
  if (begin < 0) begin = 0;
  if (end > s.rows) end = s.rows;
  const bool mine = row < end - begin;
  const long r = mine ? (backward ? end - 1 - row : begin + row) : begin, y = flow_place(r, s.a.h);
  for (long turn = 0; turn < s.cols + FLOW_ROWS - 1; turn++) {
    const long j = turn - row, c = clamp_index(backward ? s.cols - 1 - j : j, s.cols);
    const long x = flow_place(c, s.a.w), at = r * s.cols + c;
    const bool now = mine && j >= 0 && j < s.cols;
    const float(*before)[2] = last[(turn + 1) & 1];
    Column p;
    take_column(s, y, x, column, &p);
    Found best = compare(s.b, p, x, y, column, s.u[at], s.v[at]);
    const bool left = now && j > 0, above = now && row > 0;
    better(&best, compare(s.b, p, x, y, column, left ? before[row][0] : 0, left ? before[row][1] : 0), left);
    better(&best,
           compare(s.b, p, x, y, column, above ? before[row - 1][0] : 0, above ? before[row - 1][1] : 0),
           above);
    best = descend(s.b, p, x, y, column, best, now);
    if (now && column == 0) {
      last[turn & 1][row][0] = s.u[at] = best.u;
      last[turn & 1][row][1] = s.v[at] = best.v;
    }
    __syncthreads();
  }
}

int flow_search_on(CudaStream s, const FlowSearch *search) {
  const Patches p = patches_of(search);
  const unsigned count = (unsigned)p.b.series.count;
  LAUNCH(search_kernel, dim3(blocks_for(p.rows, FLOW_ROWS), count), BLOCK, 0, s, p, 0);
  LAUNCH(search_kernel, dim3(blocks_for(p.rows + FLOW_ROWS / 2, FLOW_ROWS), count), BLOCK, 0, s, p, 1);
  return launched("flow");
}

/* ---- one displacement per pixel ---- */

/* The first patch that covers place p, and whether patch i still does. */
static __device__ long first_over(long p) {
  long i = (p - FLOW_PATCH + FLOW_STRIDE) / FLOW_STRIDE;
  return i > 0 ? i : 0;
}

static __global__ void densify_kernel(Patches all, FlowField all_field) {
  const Patches s = of_series(all);
  const FlowField f = of_series(all_field, blockIdx.y);
  const long i = INDEX, x = i % f.w, y = i / f.w;
  if (y >= f.h) return;
  float u = 0, v = 0, weight = 0;
  for (long r = first_over(y); r < s.rows && flow_place(r, f.h) <= y; r++)
    for (long c = first_over(x); c < s.cols && flow_place(c, f.w) <= x; c++) {
      const long top = flow_place(r, f.h), left = flow_place(c, f.w);
      const float pu = s.u[r * s.cols + c], pv = s.v[r * s.cols + c];
      float px = clamp_place((float)left + pu, s.b.w), py = clamp_place((float)top + pv, s.b.h);
      float xf = floorf(px), yf = floorf(py), fx = px - xf, fy = py - yf;
      const float *b = s.b.at + ((long)yf + y - top) * s.b.stride + (long)xf + x - left;
      float above = across(b, fx), below = across(b + s.b.stride, fx);
      float e = fabsf(above + fy * (below - above) - s.a.at[y * s.a.stride + x]);
      float k = 1 / (e > 1 ? e : 1);
      k *= k;
      u += k * pu;
      v += k * pv;
      weight += k;
    }
  const float k = 1 / weight;
  f.u[y * f.stride + x] = u * k;
  f.v[y * f.stride + x] = v * k;
}

int flow_densify_on(CudaStream s, const FlowSearch *search, const FlowField *field) {
  LAUNCH(densify_kernel, series_blocks(field->h * field->w, field->series), THREADS, 0, s, patches_of(search),
         *field);
  return launched("flow");
}
