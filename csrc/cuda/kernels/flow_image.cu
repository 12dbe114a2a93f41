/* The flow's images and fields, a thread a pixel: of the pyramid's, borders are computed as what they repeat. */
#include "cuda/kernels/flow.h"

#include "cuda/kernels/bilinear.h"

/* Where a thread writes in an image with its border, and the pixel that is there. */
struct Bordered {
  long at, x, y;
  bool in;
};

static __device__ Bordered bordered(const FlowImage &m) {
  long w = m.w + 2 * FLOW_BORDER, i = INDEX, y = i / w - FLOW_BORDER, x = i % w - FLOW_BORDER;
  return {y * m.stride + x, clamp_index(x, m.w), clamp_index(y, m.h), y < m.h + FLOW_BORDER};
}

static dim3 blocks_of(const FlowImage *m) {
  return series_blocks((m->w + 2 * FLOW_BORDER) * (m->h + 2 * FLOW_BORDER), m->series);
}

/* ---- the pyramid ---- */

struct Pictures {
  const uint8_t *at[FLOW_TOGETHER];
};

static __global__ void grey_kernel(const __grid_constant__ Pictures pictures, int channels, FlowImage all) {
  FlowImage out = of_series(all, blockIdx.y);
  const uint8_t *image = pictures.at[blockIdx.y];
  Bordered p = bordered(out);
  if (!p.in) return;
  const uint8_t *c = image + (p.y * out.w + p.x) * channels;
  out.at[p.at] =
      channels == 1 ? (float)c[0] : 0.299f * (float)c[0] + 0.587f * (float)c[1] + 0.114f * (float)c[2];
}

int flow_grey_on(CudaStream s, const uint8_t *const *images, int channels, const FlowImage *out) {
  Pictures pictures = {};
  for (int i = 0; i < out->series.count; i++) pictures.at[i] = images[i];
  LAUNCH(grey_kernel, blocks_of(out), THREADS, 0, s, pictures, channels, *out);
  return launched("flow");
}

static __global__ void halve_kernel(FlowImage all_in, FlowImage all_out) {
  FlowImage in = of_series(all_in, blockIdx.y), out = of_series(all_out, blockIdx.y);
  Bordered p = bordered(out);
  if (!p.in) return;
  const float *top = in.at + 2 * p.y * in.stride + 2 * p.x, *low = top + in.stride;
  out.at[p.at] = 0.25f * (top[0] + top[1] + low[0] + low[1]);
}

int flow_halve_on(CudaStream s, const FlowImage *in, const FlowImage *out) {
  LAUNCH(halve_kernel, blocks_of(out), THREADS, 0, s, *in, *out);
  return launched("flow");
}

static __global__ void slopes_kernel(FlowImage in, FlowImage gx, FlowImage gy) {
  Bordered p = bordered(gx);
  if (!p.in) return;
  const float *b = in.at + p.y * in.stride + p.x, *a = b - in.stride, *c = b + in.stride;
  float left = a[-1] + 2 * b[-1] + c[-1], right = a[1] + 2 * b[1] + c[1];
  float top = a[-1] + 2 * a[0] + a[1], low = c[-1] + 2 * c[0] + c[1];
  gx.at[p.at] = 0.125f * (right - left);
  gy.at[p.at] = 0.125f * (low - top);
}

int flow_slopes_on(CudaStream s, const FlowImage *in, const FlowImage *x, const FlowImage *y) {
  LAUNCH(slopes_kernel, blocks_of(x), THREADS, 0, s, *in, *x, *y);
  return launched("flow");
}

/* ---- the flow at the images' size ---- */

/* One row between two rows of a plane, times two. */
static __device__ float between_rows(const float *near, const float *far, long x, long w) {
  x = clamp_index(x, w);
  return 1.5f * near[x] + 0.5f * far[x];
}

struct Flows {
  float *at[FLOW_TOGETHER];
};

static __global__ void finish_kernel(FlowField all, int enlarge, long h, long w,
                                     const __grid_constant__ Flows flows) {
  FlowField f = of_series(all, blockIdx.y);
  float *flow = flows.at[blockIdx.y];
  long i = INDEX, x = i % w, y = i / w;
  if (y >= h) return;
  const float *plane[2] = {f.u, f.v};
  for (int c = 0; c < 2; c++) {
    const float *p = plane[c];
    if (!enlarge) {
      flow[2 * i + c] = p[y * f.stride + x];
      continue;
    }
    const float *near = p + y / 2 * f.stride;
    const float *far = p + clamp_index(y % 2 ? y / 2 + 1 : y / 2 - 1, f.h) * f.stride;
    flow[2 * i + c] = 0.75f * between_rows(near, far, x / 2, f.w) +
                      0.25f * between_rows(near, far, x % 2 ? x / 2 + 1 : x / 2 - 1, f.w);
  }
}

int flow_finish_on(CudaStream s, const FlowField *field, int enlarge, long h, long w, float *const *flow) {
  Flows flows = {};
  for (int i = 0; i < field->series.count; i++) flows.at[i] = flow[i];
  LAUNCH(finish_kernel, series_blocks(h * w, field->series), THREADS, 0, s, *field, enlarge, h, w, flows);
  return launched("flow");
}

static __global__ void check_kernel(const float *forward, const float *backward, long h, long w, float a,
                                    float b, uint8_t *valid) {
  long i = INDEX, x = i % w, y = i / w;
  if (y >= h) return;
  float u = forward[2 * i], v = forward[2 * i + 1], px = (float)x + u, py = (float)y + v;
  bool in = px >= 0 && px <= (float)(w - 1) && py >= 0 && py <= (float)(h - 1); /* NaN is not */
  if (!in) px = py = 0;
  long left = (long)px, above = (long)py;
  float fx = px - (float)left, fy = py - (float)above;
  float bu = bilinear_on(backward, 2, left, above, fx, fy, w, h, w);
  float bv = bilinear_on(backward + 1, 2, left, above, fx, fy, w, h, w);
  float du = u + bu, dv = v + bv;
  valid[i] = in && du * du + dv * dv <= a * (u * u + v * v + bu * bu + bv * bv) + b;
}

int flow_check_on(CudaStream s, const float *forward, const float *backward, long h, long w, float a, float b,
                  uint8_t *valid) {
  LAUNCH(check_kernel, blocks_for(h * w), THREADS, 0, s, forward, backward, h, w, a, b, valid);
  return launched("flow check");
}
