/* Variational refinement of one level (motion/isa_flow_refine.c). The equations of a pixel are a thread's; they lie in
 * planes of the field's form. A linear system, its weights and all its half sweeps, is one launch: a block keeps a tile
 * and FLOW_SWEEPS pixels more on every side in shared memory, where what is wrong at the rim comes one pixel further
 * with every half sweep, and never into the tile. */
#include "cuda/kernels/flow.h"

#include "cuda/kernels/bilinear.h"

/* One level: planes of h x w, rows of `stride`. Equations p u + q v + r = 0: brightness, its derivatives along x and
 * y. */
struct Equations {
  long h, w, stride;
  float *dt, *ax, *ay; /* the moved b minus a; derivatives of their mean */
  float *p[3], *q[3], *r[3];
  FlowSeries series;
};

static __device__ inline Equations of_series(Equations l, unsigned i) {
  const long by = i * l.series.apart;
  l.dt += by, l.ax += by, l.ay += by;
#pragma unroll
  for (int k = 0; k < 3; k++) l.p[k] += by, l.q[k] += by, l.r[k] += by;
  return l;
}

enum { PLANES = 16 }; /* of Equations, and two fields on the way */

long flow_refine_floats_on(long h, long w) { return PLANES * h * ((w + 15) / 16 * 16); }

/* ---- the equations ---- */

static __device__ float clamped(float x, float low, float high) {
  return x > low ? (x < high ? x : high) : low;
}

static __global__ void difference_kernel(FlowImage a, FlowImage all_b, FlowField all_f, Equations all) {
  const FlowImage b = of_series(all_b, blockIdx.y);
  const FlowField f = of_series(all_f, blockIdx.y);
  const Equations l = of_series(all, blockIdx.y);
  const long i = INDEX, x = i % l.w, y = i / l.w, at = y * f.stride + x;
  if (y >= l.h) return;
  float px = clamped((float)x + f.u[at], -1, (float)l.w), py = clamped((float)y + f.v[at], -1, (float)l.h);
  const float xf = floorf(px), yf = floorf(py);
  const float *s = b.at + (long)yf * b.stride + (long)xf, *t = s + b.stride;
  px -= xf;
  py -= yf;
  const float top = s[0] + px * (s[1] - s[0]), low = t[0] + px * (t[1] - t[0]);
  l.dt[y * l.stride + x] = top + py * (low - top) - a.at[y * a.stride + x];
}

/* A plane's number at a place, repeated beyond the border. */
static __device__ float at_place(const Equations &l, const float *plane, long x, long y) {
  return plane[clamp_index(y, l.h) * l.stride + clamp_index(x, l.w)];
}

static __device__ float slope_x(const Equations &l, const float *plane, long x, long y) {
  return 0.5f * (at_place(l, plane, x + 1, y) - at_place(l, plane, x - 1, y));
}

static __device__ float slope_y(const Equations &l, const float *plane, long x, long y) {
  return 0.5f * (at_place(l, plane, x, y + 1) - at_place(l, plane, x, y - 1));
}

static __global__ void derivatives_kernel(FlowImage a, Equations all) {
  const Equations l = of_series(all, blockIdx.y);
  const long i = INDEX, x = i % l.w, y = i / l.w;
  if (y >= l.h) return;
  const float *p = a.at + y * a.stride + x;
  l.ax[y * l.stride + x] = 0.5f * (p[1] - p[-1]) + 0.5f * slope_x(l, l.dt, x, y);
  l.ay[y * l.stride + x] = 0.5f * (p[a.stride] - p[-a.stride]) + 0.5f * slope_y(l, l.dt, x, y);
}

static __global__ void equations_kernel(FlowField all_f, Equations all) {
  const FlowField f = of_series(all_f, blockIdx.y);
  const Equations l = of_series(all, blockIdx.y);
  const long i = INDEX, x = i % l.w, y = i / l.w, at = y * l.stride + x;
  if (y >= l.h) return;
  const float u = f.u[y * f.stride + x], v = f.v[y * f.stride + x], px = (float)x + u, py = (float)y + v;
  const bool inside = px >= 0 && px <= (float)(l.w - 1) && py >= 0 && py <= (float)(l.h - 1);
  const float in = inside ? 1.0f : 0.0f, gx = l.ax[at], gy = l.ay[at], dt = l.dt[at];
  const float gxx = slope_x(l, l.ax, x, y), gxy = slope_y(l, l.ax, x, y), gyy = slope_y(l, l.ay, x, y);
  const float tx = slope_x(l, l.dt, x, y), ty = slope_y(l, l.dt, x, y);
  const float k1 = in / sqrtf(gx * gx + gy * gy + flow_zeta2);
  const float k2 = in / sqrtf(gxx * gxx + gxy * gxy + flow_zeta2);
  const float k3 = in / sqrtf(gxy * gxy + gyy * gyy + flow_zeta2);
  l.p[0][at] = k1 * gx, l.q[0][at] = k1 * gy, l.r[0][at] = k1 * (dt - gx * u - gy * v);
  l.p[1][at] = k2 * gxx, l.q[1][at] = k2 * gxy, l.r[1][at] = k2 * (tx - gxx * u - gxy * v);
  l.p[2][at] = k3 * gxy, l.q[2][at] = k3 * gyy, l.r[2][at] = k3 * (ty - gxy * u - gyy * v);
}

/* ---- a linear system ---- */

enum {
  TILE_W = 32,
  TILE_H = 16, /* both even: a pixel's colour is that of its place in the tile */
  WIDE = TILE_W + 2 * FLOW_SWEEPS,
  HIGH = TILE_H + 2 * FLOW_SWEEPS,
  PAIRS = WIDE * HIGH / 2, /* of neighbours in a row: one of each colour, for one thread */
  BLOCK = 512,
  SHARE = (PAIRS + BLOCK - 1) / BLOCK,
};

struct Tile {
  float u[HIGH][WIDE], v[HIGH][WIDE];
  float ex[HIGH][WIDE], ey[HIGH][WIDE]; /* weights of the edges to the right and down; 0 outside the image */
};

/* The 2x2 system of a pixel: off-diagonal, right side, inverse diagonal with edges. */
struct System {
  float a12, b1, b2, i1, i2;
};

/* alpha / sqrt(|grad u|^2 + |grad v|^2 + epsilon^2), forward differences; the last pixel is repeated. */
static __device__ void weigh_edges(Tile &t, int x, int y, bool in, bool right, bool below) {
  t.ex[y][x] = t.ey[y][x] = 0;
  if (!in) return;
  const int r = right && x + 1 < WIDE ? x + 1 : x, d = below && y + 1 < HIGH ? y + 1 : y;
  const float a = t.u[y][r] - t.u[y][x], b = t.u[d][x] - t.u[y][x], g = t.v[y][r] - t.v[y][x],
              h = t.v[d][x] - t.v[y][x];
  const float e = flow_alpha / sqrtf(a * a + b * b + g * g + h * h + flow_epsilon2);
  if (right) t.ex[y][x] = e;
  if (below) t.ey[y][x] = e;
}

/* The robust weights at the present flow, and with them the system. */
static __device__ System system_of(const Equations &l, long at, float u, float v, float edges) {
  const float p1 = l.p[0][at], q1 = l.q[0][at], r1 = l.r[0][at], p2 = l.p[1][at], q2 = l.q[1][at],
              r2 = l.r[1][at], p3 = l.p[2][at], q3 = l.q[2][at], r3 = l.r[2][at];
  const float e1 = p1 * u + q1 * v + r1, e2 = p2 * u + q2 * v + r2, e3 = p3 * u + q3 * v + r3;
  const float s = flow_delta / sqrtf(e1 * e1 + flow_epsilon2);
  const float t = flow_gamma / sqrtf(e2 * e2 + e3 * e3 + flow_epsilon2);
  System m;
  edges += 1e-6f;
  m.a12 = s * p1 * q1 + t * (p2 * q2 + p3 * q3);
  m.b1 = -s * p1 * r1 - t * (p2 * r2 + p3 * r3);
  m.b2 = -s * q1 * r1 - t * (q2 * r2 + q3 * r3);
  m.i1 = 1 / (s * p1 * p1 + t * (p2 * p2 + p3 * p3) + edges);
  m.i2 = 1 / (s * q1 * q1 + t * (q2 * q2 + q3 * q3) + edges);
  return m;
}

/* The neighbours beyond the tile count as 0, which comes no further than the rim. */
static __device__ void sweep(Tile &t, int x, int y, const System &m) {
  const bool right = x + 1 < WIDE, left = x > 0, down = y + 1 < HIGH, up = y > 0;
  const float er = t.ex[y][x], el = left ? t.ex[y][x - 1] : 0, ed = t.ey[y][x], eu = up ? t.ey[y - 1][x] : 0;
  const float su = er * (right ? t.u[y][x + 1] : 0) + el * (left ? t.u[y][x - 1] : 0) +
                   ed * (down ? t.u[y + 1][x] : 0) + eu * (up ? t.u[y - 1][x] : 0);
  const float sv = er * (right ? t.v[y][x + 1] : 0) + el * (left ? t.v[y][x - 1] : 0) +
                   ed * (down ? t.v[y + 1][x] : 0) + eu * (up ? t.v[y - 1][x] : 0);
  const float u = t.u[y][x], v = t.v[y][x], next = u + flow_omega * ((m.b1 + su - m.a12 * v) * m.i1 - u);
  t.u[y][x] = next;
  t.v[y][x] = v + flow_omega * ((m.b2 + sv - m.a12 * next) * m.i2 - v);
}

static __global__ void __launch_bounds__(BLOCK)
    relax_kernel(Equations all, FlowField all_from, FlowField all_to) {
  const Equations l = of_series(all, blockIdx.z);
  const FlowField from = of_series(all_from, blockIdx.z), to = of_series(all_to, blockIdx.z);
  __shared__ Tile t;
  const long x0 = (long)blockIdx.x * TILE_W - FLOW_SWEEPS, y0 = (long)blockIdx.y * TILE_H - FLOW_SWEEPS;
  for (int i = threadIdx.x; i < WIDE * HIGH; i += BLOCK) {
    const int x = i % WIDE, y = i / WIDE;
    const long gx = x0 + x, gy = y0 + y;
    const bool in = gx >= 0 && gx < l.w && gy >= 0 && gy < l.h;
    t.u[y][x] = in ? from.u[gy * from.stride + gx] : 0;
    t.v[y][x] = in ? from.v[gy * from.stride + gx] : 0;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < WIDE * HIGH; i += BLOCK) {
    const int x = i % WIDE, y = i / WIDE;
    const long gx = x0 + x, gy = y0 + y;
    weigh_edges(t, x, y, gx >= 0 && gx < l.w && gy >= 0 && gy < l.h, gx + 1 < l.w, gy + 1 < l.h);
  }
  __syncthreads();
  System m[SHARE][2];
#pragma unroll
  for (int k = 0; k < SHARE; k++) {
    const int pair = threadIdx.x + k * BLOCK, y = pair / (WIDE / 2);
#pragma unroll
    for (int o = 0; o < 2; o++) {
      const int x = pair % (WIDE / 2) * 2 + o;
      const long gx = x0 + x, gy = y0 + y;
      if (pair >= PAIRS || gx < 0 || gx >= l.w || gy < 0 || gy >= l.h) { /* stays as it is */
        m[k][o] = {0, 0, 0, 0, 0};
        continue;
      }
      const float edges = t.ex[y][x] + (x ? t.ex[y][x - 1] : 0) + t.ey[y][x] + (y ? t.ey[y - 1][x] : 0);
      m[k][o] = system_of(l, gy * l.stride + gx, t.u[y][x], t.v[y][x], edges);
    }
  }
  for (int s = 0; s < FLOW_SWEEPS; s++) { /* colours in turn: x + y even first */
#pragma unroll
    for (int k = 0; k < SHARE; k++) {
      const int pair = threadIdx.x + k * BLOCK, y = pair / (WIDE / 2), o = (s + y) & 1;
      System own = m[k][0]; /* a copy: an array that is indexed would not lie in registers */
      if (o) own = m[k][1];
      if (pair < PAIRS) sweep(t, pair % (WIDE / 2) * 2 + o, y, own);
    }
    __syncthreads();
  }
  for (int i = threadIdx.x; i < TILE_W * TILE_H; i += BLOCK) {
    const int x = i % TILE_W + FLOW_SWEEPS, y = i / TILE_W + FLOW_SWEEPS;
    const long gx = x0 + x, gy = y0 + y;
    if (gx >= l.w || gy >= l.h) continue;
    to.u[gy * to.stride + gx] = t.u[y][x];
    to.v[gy * to.stride + gx] = t.v[y][x];
  }
}

int flow_refine_on(CudaStream s, const FlowImage *a, const FlowImage *b, const FlowField *field,
                   float *block) {
  Equations l = {a->h, a->w, (a->w + 15) / 16 * 16};
  FlowField way[2] = {{l.h, l.w, l.stride}, {l.h, l.w, l.stride}};
  l.series = way[0].series = way[1].series = field->series;
  float **planes[PLANES] = {&l.dt,   &l.ax,   &l.ay,   &l.p[0], &l.p[1],   &l.p[2],   &l.q[0],   &l.q[1],
                            &l.q[2], &l.r[0], &l.r[1], &l.r[2], &way[0].u, &way[0].v, &way[1].u, &way[1].v};
  for (int i = 0; i < PLANES; i++) *planes[i] = block + i * l.h * l.stride;
  const dim3 blocks = series_blocks(l.h * l.w, l.series);
  LAUNCH(difference_kernel, blocks, THREADS, 0, s, *a, *b, *field, l);
  LAUNCH(derivatives_kernel, blocks, THREADS, 0, s, *a, l);
  LAUNCH(equations_kernel, blocks, THREADS, 0, s, *field, l);
  const dim3 tiles((unsigned)((l.w + TILE_W - 1) / TILE_W), (unsigned)((l.h + TILE_H - 1) / TILE_H),
                   (unsigned)l.series.count);
  for (int i = 0; i < FLOW_SYSTEMS; i++) {
    const FlowField &from = i ? way[(i - 1) % 2] : *field, &to = i + 1 < FLOW_SYSTEMS ? way[i % 2] : *field;
    LAUNCH(relax_kernel, tiles, BLOCK, 0, s, l, from, to);
  }
  return launched("flow");
}
