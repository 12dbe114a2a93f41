/* Rows of the pyramid, and of the flow at the images' size. Borders are the caller's. */
#include "motion/flow_parts.h"

static float *row_of(const FlowImage *m, long y) { return m->at + y * m->stride; }

/* Luma of ITU-R BT.601. */
void ISA_NAME(flow_grey_row)(const FlowRows *r, long y) {
  const long w = r->out->w;
  const uint8_t *restrict in = r->bytes + y * w * r->channels;
  float *restrict out = row_of(r->out, y);
  if (r->channels == 1)
    for (long x = 0; x < w; x++) out[x] = (float)in[x];
  else
    for (long x = 0; x < w; x++)
      out[x] = 0.299f * (float)in[3 * x] + 0.587f * (float)in[3 * x + 1] + 0.114f * (float)in[3 * x + 2];
}

/* Means of 2 x 2. */
void ISA_NAME(flow_half_row)(const FlowRows *r, long y) {
  const long w = r->out->w;
  const float *restrict top = row_of(r->in, 2 * y), *restrict low = row_of(r->in, 2 * y + 1);
  float *restrict out = row_of(r->out, y);
  FLOW_INDEPENDENT
  for (long x = 0; x < w; x++) out[x] = 0.25f * (top[2 * x] + top[2 * x + 1] + low[2 * x] + low[2 * x + 1]);
}

/* Sobel's derivatives, per pixel. */
void ISA_NAME(flow_slope_row)(const FlowRows *r, long y) {
  const long w = r->out->w, s = r->in->stride;
  const float *restrict b = row_of(r->in, y), *restrict a = b - s, *restrict c = b + s;
  float *restrict gx = row_of(r->out, y), *restrict gy = row_of(r->out2, y);
  FLOW_INDEPENDENT
  for (long x = 0; x < w; x++) {
    float left = a[x - 1] + 2 * b[x - 1] + c[x - 1], right = a[x + 1] + 2 * b[x + 1] + c[x + 1];
    float top = a[x - 1] + 2 * a[x] + a[x + 1], low = c[x - 1] + 2 * c[x] + c[x + 1];
    gx[x] = 0.125f * (right - left);
    gy[x] = 0.125f * (low - top);
  }
}

/* One row between two rows of a plane, times two, one pixel repeated on both sides. */
static void mix_rows(const float *near, const float *far, long w, float *restrict out) {
  FLOW_INDEPENDENT
  for (long x = 0; x < w; x++) out[x] = 1.5f * near[x] + 0.5f * far[x];
  out[-1] = out[0];
  out[w] = out[w - 1];
}

/* Bilinear: a pixel lies a quarter of the coarse distance from its nearest coarse pixel. */
void ISA_NAME(flow_enlarge_row)(const FlowField *field, long y, long w, float *out, float *local) {
  const long near = y / 2, next = y % 2 ? near + 1 : near - 1;
  const long far = next < 0 ? 0 : next < field->h ? next : field->h - 1;
  float *u = local + 1, *v = u + field->w + 2;
  mix_rows(field->u + near * field->stride, field->u + far * field->stride, field->w, u);
  mix_rows(field->v + near * field->stride, field->v + far * field->stride, field->w, v);
  FLOW_INDEPENDENT
  for (long x = 0; x < w / 2; x++) {
    out[4 * x] = 0.75f * u[x] + 0.25f * u[x - 1];
    out[4 * x + 1] = 0.75f * v[x] + 0.25f * v[x - 1];
    out[4 * x + 2] = 0.75f * u[x] + 0.25f * u[x + 1];
    out[4 * x + 3] = 0.75f * v[x] + 0.25f * v[x + 1];
  }
  if (w % 2) {
    out[2 * w - 2] = 0.75f * u[w / 2] + 0.25f * u[w / 2 - 1];
    out[2 * w - 1] = 0.75f * v[w / 2] + 0.25f * v[w / 2 - 1];
  }
}
