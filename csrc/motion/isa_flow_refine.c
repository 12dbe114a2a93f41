/* Variational refinement (Brox et al. 2004 as DIS uses it: one warp per level, linearised there): assembling
 * the equations, robust weights, red-black over-relaxation. Plain loops over rows that the compiler
 * vectorises; layout and meaning of the planes in flow_parts.h. */
#include "motion/flow_parts.h"

#include <math.h>
#include <string.h>

/* Repeats the first and last pixel of a row, and the first and last row, one pixel outwards. */
static void close_row(const FlowImage *m, long y) {
  float *row = m->at + y * m->stride;
  row[-1] = row[0];
  row[m->w] = row[m->w - 1];
  size_t bytes = (size_t)(m->w + 2) * sizeof *row;
  if (y == 0) memcpy(row - m->stride - 1, row - 1, bytes);
  if (y == m->h - 1) memcpy(row + m->stride - 1, row - 1, bytes);
}

static inline float clamp(float x, float low, float high) { return x > low ? (x < high ? x : high) : low; }

/* What the equations of a chunk of rows are made of: derivatives of the mean of a and the moved b, and the
 * moved b minus a. */
typedef struct Strip {
  FlowImage ax, ay, dt;
} Strip;

/* dt = b(x + flow) - a. */
static void difference(const FlowRefine *f, const FlowImage *dt, long first, long last) {
  const long w = f->w;
  const float wide = (float)f->w, high = (float)f->h;
  for (long y = first; y < last; y++) {
    const float *u = f->field.u + y * f->field.stride, *v = f->field.v + y * f->field.stride;
    const float *a = f->a->at + y * f->a->stride;
    float *out = dt->at + y * dt->stride;
    FLOW_INDEPENDENT
    for (long x = 0; x < w; x++) {
      float px = clamp((float)x + u[x], -1, wide), py = clamp((float)y + v[x], -1, high);
      float fx = floorf(px), fy = floorf(py);
      const float *s = f->b->at + (long)fy * f->b->stride + (long)fx, *t = s + f->b->stride;
      px -= fx;
      py -= fy;
      float top = s[0] + px * (s[1] - s[0]), low = t[0] + px * (t[1] - t[0]);
      out[x] = top + py * (low - top) - a[x];
    }
    close_row(dt, y);
  }
}

/* ax, ay = central differences of a + dt / 2. */
static void derivatives(const FlowRefine *f, const Strip *s, long first, long last) {
  const long w = f->w;
  for (long y = first; y < last; y++) {
    const long sa = f->a->stride, sd = s->dt.stride;
    const float *restrict a = f->a->at + y * sa, *restrict d = s->dt.at + y * sd;
    float *restrict gx = s->ax.at + y * s->ax.stride, *restrict gy = s->ay.at + y * s->ay.stride;
    FLOW_INDEPENDENT
    for (long x = 0; x < w; x++) {
      gx[x] = 0.5f * (a[x + 1] - a[x - 1]) + 0.25f * (d[x + 1] - d[x - 1]);
      gy[x] = 0.5f * (a[x + sa] - a[x - sa]) + 0.25f * (d[x + sd] - d[x - sd]);
    }
    close_row(&s->ax, y);
    close_row(&s->ay, y);
  }
}

/* One row of w numbers into its two colours; places beyond w become zero. */
static void split_row(const FlowRefine *f, const float *restrict in, long y, float *plane) {
  for (int c = 0; c < 2; c++) {
    const long parity = (c + y) & 1, n = (f->w - parity + 1) / 2;
    float *restrict out = plane + flow_half(f, y, c);
    FLOW_INDEPENDENT
    for (long k = 0; k < n; k++) out[k] = in[2 * k + parity];
    if (n < f->n) out[n] = 0;
  }
}

/* The margin of a row of the flow: its last pixel repeated to the right, and the last row downwards, so that
 * differences over the border are zero; the rest is only multiplied by zero and must be finite. */
static void close_flow(const FlowRefine *f, float *plane, long y) {
  const size_t bytes = (size_t)(f->n + 2) * sizeof *plane;
  for (int c = 0; c < 2; c++) plane[flow_half(f, y, c) - 1] = plane[flow_half(f, y, c) + f->n] = 0;
  plane[flow_half(f, y, (int)((f->w + y) & 1)) + f->w / 2] =
      plane[flow_half(f, y, (int)((f->w - 1 + y) & 1)) + (f->w - 1) / 2];
  for (int c = 0; c < 2; c++) {
    if (y == 0) memset(plane + flow_half(f, -1, c) - 1, 0, bytes);
    if (y == f->h - 1) memcpy(plane + flow_half(f, f->h, c) - 1, plane + flow_half(f, y, 1 - c) - 1, bytes);
  }
}

/* Three equations per pixel, linear in the flow, each divided by the length of its gradient (plus zeta):
 * brightness and its two derivatives stay what they are. Pixels that leave the image have none. */
static void equations(const FlowRefine *f, const Strip *strip, long first, long last, float *row) {
  const long w = f->w;
  const float wide = (float)(w - 1), high = (float)(f->h - 1);
  float *restrict p1 = row, *restrict q1 = p1 + w, *restrict r1 = q1 + w;
  float *restrict p2 = r1 + w, *restrict q2 = p2 + w, *restrict r2 = q2 + w;
  float *restrict p3 = r2 + w, *restrict q3 = p3 + w, *restrict r3 = q3 + w;
  for (long y = first; y < last; y++) {
    const long s = strip->dt.stride;
    const float *restrict ax = strip->ax.at + y * s, *restrict ay = strip->ay.at + y * s,
                          *restrict dt = strip->dt.at + y * s;
    const float *restrict u = f->field.u + y * f->field.stride, *restrict v =
                                                                    f->field.v + y * f->field.stride;
    FLOW_INDEPENDENT
    for (long x = 0; x < w; x++) {
      float px = (float)x + u[x], py = (float)y + v[x];
      float in = px >= 0 ? 1.0f : 0.0f;
      in = px <= wide ? in : 0;
      in = py >= 0 ? in : 0;
      in = py <= high ? in : 0;
      float gx = ax[x], gy = ay[x];
      float gxx = 0.5f * (ax[x + 1] - ax[x - 1]), gxy = 0.5f * (ax[x + s] - ax[x - s]);
      float gyy = 0.5f * (ay[x + s] - ay[x - s]);
      float tx = 0.5f * (dt[x + 1] - dt[x - 1]), ty = 0.5f * (dt[x + s] - dt[x - s]);
      float k1 = in / sqrtf(gx * gx + gy * gy + flow_zeta2);
      float k2 = in / sqrtf(gxx * gxx + gxy * gxy + flow_zeta2),
            k3 = in / sqrtf(gxy * gxy + gyy * gyy + flow_zeta2);
      p1[x] = k1 * gx, q1[x] = k1 * gy, r1[x] = k1 * (dt[x] - gx * u[x] - gy * v[x]);
      p2[x] = k2 * gxx, q2[x] = k2 * gxy, r2[x] = k2 * (tx - gxx * u[x] - gxy * v[x]);
      p3[x] = k3 * gxy, q3[x] = k3 * gyy, r3[x] = k3 * (ty - gxy * u[x] - gyy * v[x]);
    }
    for (int e = 0; e < 3; e++) {
      split_row(f, row + 3 * e * w, y, f->p[e]);
      split_row(f, row + (3 * e + 1) * w, y, f->q[e]);
      split_row(f, row + (3 * e + 2) * w, y, f->r[e]);
    }
    split_row(f, u, y, f->u);
    split_row(f, v, y, f->v);
    close_flow(f, f->u, y);
    close_flow(f, f->v, y);
  }
}

/* The equations of the rows [first, last), from two rows more on both sides. */
void ISA_NAME(flow_equations)(const FlowRefine *f, long first, long last, float *local) {
  const long floats = flow_strip_floats(f, last - first), stride = f->w + 2 * FLOW_MARGIN;
  const long least = first > 2 ? first - 2 : 0, most = last + 2 < f->h ? last + 2 : f->h;
  const FlowImage dt = {f->h, f->w, stride, local + FLOW_MARGIN - (least - 1) * stride, {1, 0}};
  Strip s = {dt, dt, dt};
  s.ax.at += floats, s.ay.at += 2 * floats;
  difference(f, &s.dt, least, most);
  derivatives(f, &s, first > 1 ? first - 1 : 0, last + 1 < f->h ? last + 1 : f->h);
  equations(f, &s, first, last, local + 3 * floats);
}

/* What relaxation keeps of the rows around it: row y of a plane lies where row y + FLOW_RING will. */
typedef struct Ring {
  float *u, *v;                   /* the flow on its way */
  float *ex, *ey;                 /* weights of the edges to the right and down */
  float *a12, *b1, *b2, *i1, *i2; /* 2x2 system: off-diagonal, right side, inverse diagonal with edges */
} Ring;

static Ring ring_at(const FlowRefine *f, float *local) {
  const long n = FLOW_RING * f->stride;
  float *p = local + FLOW_MARGIN;
  return (Ring){p, p + n, p + 2 * n, p + 3 * n, p + 4 * n, p + 5 * n, p + 6 * n, p + 7 * n, p + 8 * n};
}

/* Start of colour c in row y of a plane of the ring. */
static inline long ring_half(const FlowRefine *f, long y, int c) {
  return flow_half(f, y & (FLOW_RING - 1), c);
}

/* Weights of the edges of row y: alpha / sqrt(|grad u|^2 + |grad v|^2 + epsilon^2), forward differences. */
static void edge_row(const FlowRefine *f, const Ring *r, long y) {
  const long n = f->n;
  for (int c = 0; c < 2; c++) {
    const long parity = (c + y) & 1, at = flow_half(f, y, c), other = flow_half(f, y, 1 - c) + parity;
    const long below = flow_half(f, y + 1, 1 - c);
    const float *restrict u = f->u + at, *restrict ur = f->u + other, *restrict ud = f->u + below;
    const float *restrict v = f->v + at, *restrict vr = f->v + other, *restrict vd = f->v + below;
    float *restrict ex = r->ex + ring_half(f, y, c), *restrict ey = r->ey + ring_half(f, y, c);
    ex[-1] = 0;
    FLOW_INDEPENDENT
    for (long k = 0; k < n; k++) {
      float a = ur[k] - u[k], b = ud[k] - u[k], g = vr[k] - v[k], h = vd[k] - v[k];
      ex[k] = ey[k] = flow_alpha / sqrtf(a * a + b * b + g * g + h * h + flow_epsilon2);
    }
  }
  r->ex[ring_half(f, y, (int)((f->w - 1 + y) & 1)) + (f->w - 1) / 2] = 0; /* no edge leaves the image */
  if (y == f->h - 1) memset(r->ey + ring_half(f, y, 0), 0, (size_t)f->stride * sizeof *r->ey);
}

/* The robust weights at the present flow, and with them the 2x2 system of every pixel of row y. */
static void system_row(const FlowRefine *f, const Ring *r, long y) {
  const long n = f->n;
  for (int c = 0; c < 2; c++) {
    const long parity = (c + y) & 1, at = flow_half(f, y, c), to = ring_half(f, y, c);
    const float *restrict u = f->u + at, *restrict v = f->v + at;
    const float *restrict p1 = f->p[0] + at, *restrict q1 = f->q[0] + at, *restrict r1 = f->r[0] + at;
    const float *restrict p2 = f->p[1] + at, *restrict q2 = f->q[1] + at, *restrict r2 = f->r[1] + at;
    const float *restrict p3 = f->p[2] + at, *restrict q3 = f->q[2] + at, *restrict r3 = f->r[2] + at;
    const float *restrict right = r->ex + to, *restrict left = r->ex + ring_half(f, y, 1 - c) + parity - 1;
    const float *restrict down = r->ey + to, *restrict above = r->ey + ring_half(f, y - 1, 1 - c);
    float *restrict a12 = r->a12 + to, *restrict b1 = r->b1 + to, *restrict b2 = r->b2 + to;
    float *restrict i1 = r->i1 + to, *restrict i2 = r->i2 + to;
    FLOW_INDEPENDENT
    for (long k = 0; k < n; k++) {
      float e1 = p1[k] * u[k] + q1[k] * v[k] + r1[k];
      float e2 = p2[k] * u[k] + q2[k] * v[k] + r2[k], e3 = p3[k] * u[k] + q3[k] * v[k] + r3[k];
      float s = flow_delta / sqrtf(e1 * e1 + flow_epsilon2),
            t = flow_gamma / sqrtf(e2 * e2 + e3 * e3 + flow_epsilon2);
      float edges = right[k] + left[k] + down[k] + above[k] + 1e-6f;
      a12[k] = s * p1[k] * q1[k] + t * (p2[k] * q2[k] + p3[k] * q3[k]);
      b1[k] = -s * p1[k] * r1[k] - t * (p2[k] * r2[k] + p3[k] * r3[k]);
      b2[k] = -s * q1[k] * r1[k] - t * (q2[k] * r2[k] + q3[k] * r3[k]);
      i1[k] = 1 / (s * p1[k] * p1[k] + t * (p2[k] * p2[k] + p3[k] * p3[k]) + edges);
      i2[k] = 1 / (s * q1[k] * q1[k] + t * (q2[k] * q2[k] + q3[k] * q3[k]) + edges);
    }
  }
}

/* One colour of one row. */
static void sweep_row(const FlowRefine *f, const Ring *r, long y, int c) {
  const long n = f->n, parity = (c + y) & 1, at = ring_half(f, y, c), right = ring_half(f, y, 1 - c) + parity;
  const long above = ring_half(f, y - 1, 1 - c), below = ring_half(f, y + 1, 1 - c);
  const float *restrict ur = r->u + right, *restrict ul = ur - 1, *restrict uu = r->u + above,
                        *restrict ud = r->u + below;
  const float *restrict vr = r->v + right, *restrict vl = vr - 1, *restrict vu = r->v + above,
                        *restrict vd = r->v + below;
  const float *restrict er = r->ex + at, *restrict el = r->ex + right - 1;
  const float *restrict ed = r->ey + at, *restrict eu = r->ey + above;
  const float *restrict a12 = r->a12 + at, *restrict b1 = r->b1 + at, *restrict b2 = r->b2 + at;
  const float *restrict i1 = r->i1 + at, *restrict i2 = r->i2 + at;
  float *restrict pu = r->u + at, *restrict pv = r->v + at;
  FLOW_INDEPENDENT
  for (long k = 0; k < n; k++) {
    float su = er[k] * ur[k] + el[k] * ul[k] + ed[k] * ud[k] + eu[k] * uu[k];
    float sv = er[k] * vr[k] + el[k] * vl[k] + ed[k] * vd[k] + eu[k] * vu[k];
    float x = pu[k] + flow_omega * ((b1[k] + su - a12[k] * pv[k]) * i1[k] - pu[k]);
    pu[k] = x;
    pv[k] += flow_omega * ((b2[k] + sv - a12[k] * x) * i2[k] - pv[k]);
  }
}

/* One linear system of the rows [first, last): assembled at the present flow, and all its half sweeps, over
 * one row more on both sides per half sweep, the outermost rows left behind one after the other, so that the
 * result is that of sweeping the whole image. Half sweep s of row y follows half sweep s - 1 of row y + 1, so
 * one walk downwards does everything while the rows are in the cache. */
void ISA_NAME(flow_relax)(const FlowRefine *f, long first, long last, float *local) {
  const Ring r = ring_at(f, local);
  const long low = first > FLOW_SWEEPS ? first - FLOW_SWEEPS : -1; /* rows of which anything is needed */
  const long high = last + FLOW_SWEEPS < f->h ? last + FLOW_SWEEPS : f->h + 1;
  const size_t row = (size_t)f->stride * sizeof *local;
  const size_t both = (size_t)(f->half + f->n) * sizeof *local; /* without the margin of the next row */
  for (long front = low; front < last + FLOW_SWEEPS; front++) {
    const long at = ring_half(f, front, 0), done = front - FLOW_SWEEPS;
    if (front < high) {
      memcpy(r.u + at, f->u + front * f->stride, row);
      memcpy(r.v + at, f->v + front * f->stride, row);
      if (front < 0)
        memset(r.ey + at, 0, row);
      else if (front < f->h)
        edge_row(f, &r, front);
      if (front > low && front < high - 1) system_row(f, &r, front);
    }
    for (long s = 0; s < FLOW_SWEEPS; s++) {
      const long y = front - 1 - s, reach = FLOW_SWEEPS - 1 - s;
      if (y >= 0 && y < f->h && y >= first - reach && y < last + reach) sweep_row(f, &r, y, (int)(s & 1));
    }
    if (done < first) continue;
    memcpy(f->u2 + done * f->stride, r.u + ring_half(f, done, 0), both);
    memcpy(f->v2 + done * f->stride, r.v + ring_half(f, done, 0), both);
    close_flow(f, f->u2, done);
    close_flow(f, f->v2, done);
  }
}

static void concat_row(const FlowRefine *f, const float *plane, long y, float *restrict out) {
  for (int c = 0; c < 2; c++) {
    const long parity = (c + y) & 1, n = (f->w - parity + 1) / 2;
    const float *restrict in = plane + flow_half(f, y, c);
    FLOW_INDEPENDENT
    for (long k = 0; k < n; k++) out[2 * k + parity] = in[k];
  }
}

/* The flow back into rows of pixels. */
void ISA_NAME(flow_join)(const FlowRefine *f, long first, long last, float *unused) {
  (void)unused;
  for (long y = first; y < last; y++) {
    concat_row(f, f->u, y, f->field.u + y * f->field.stride);
    concat_row(f, f->v, y, f->field.v + y * f->field.stride);
  }
}
