/* Inverse search of patches and their fusion into one displacement per pixel (Kroeger et al. 2016,
 * sections 2.1 to 2.3). A row of a patch is one vector of eight floats on every instruction set. Patches are
 * compared with their mean taken off, so that they stand changes of light; derivatives are those of the first
 * image, computed once. */
#include "motion/flow_parts.h"

#include <math.h>

typedef float f8 __attribute__((vector_size(32)));
typedef int i8 __attribute__((vector_size(32)));
typedef float f8u __attribute__((vector_size(32), aligned(4), may_alias));

/* Eight floats at any address. Never by value through a function: without AVX that has no settled way of
 * passing. */
#define AT(p) (*(f8u *)(p))
#define READ(p) (*(const f8u *)(p))

/* A patch of the first image: values, derivatives without their mean, damped inverse of its 2x2 structure
 * matrix. */
typedef struct Patch {
  f8 i[FLOW_PATCH], gx[FLOW_PATCH], gy[FLOW_PATCH];
  float h11, h12, h22;
} Patch;

/* How well a displacement fits: the squared difference, and its gradient by the inverse rule. */
typedef struct Fit {
  float u, v, cost, gu, gv;
} Fit;

/* The sums of four vectors' elements. */
static inline void sums(const f8 s[4], float out[4]) {
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define ODD(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
  f8 ab = EVEN(s[0], s[1]) + ODD(s[0], s[1]), cd = EVEN(s[2], s[3]) + ODD(s[2], s[3]);
  f8 all = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) +
           __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
  for (int k = 0; k < 4; k++) out[k] = all[k] + all[k + 4];
#undef EVEN
#undef ODD
}

static void take_patch(const FlowSearch *s, long y, long x, Patch *p) {
  const long at = y * s->a->stride + x;
  f8 first[4] = {0}, second[4] = {0};
  for (long j = 0; j < FLOW_PATCH; j++) {
    p->i[j] = READ(s->a->at + at + j * s->a->stride);
    p->gx[j] = READ(s->ax->at + at + j * s->a->stride);
    p->gy[j] = READ(s->ay->at + at + j * s->a->stride);
    first[0] += p->gx[j];
    first[1] += p->gy[j];
  }
  float t[4];
  sums(first, t);
  t[0] /= FLOW_PATCH * FLOW_PATCH;
  t[1] /= FLOW_PATCH * FLOW_PATCH;
  for (int j = 0; j < FLOW_PATCH; j++) {
    p->gx[j] -= t[0];
    p->gy[j] -= t[1];
    second[0] += p->gx[j] * p->gx[j];
    second[1] += p->gx[j] * p->gy[j];
    second[2] += p->gy[j] * p->gy[j];
  }
  sums(second, t);
  t[0] += flow_stiff;
  t[2] += flow_stiff;
  float det = t[0] * t[2] - t[1] * t[1];
  p->h11 = flow_damping * t[2] / det;
  p->h12 = -flow_damping * t[1] / det;
  p->h22 = flow_damping * t[0] / det;
}

/* Where a displaced patch starts in an image of n pixels: at most one patch outside. */
static inline float clamp(float p, long n) {
  float low = -FLOW_PATCH, high = (float)n;
  return p > low ? (p < high ? p : high) : low;
}

/* The patch of b at (x, y), sampled bilinearly, one row after the other. */
typedef struct Sampler {
  const float *s;
  long stride;
  float fx, fy;
  f8 above;
} Sampler;

#define ACROSS(m) (READ((m)->s) + (m)->fx * (READ((m)->s + 1) - READ((m)->s)))

static inline Sampler sample_at(const FlowImage *b, float x, float y) {
  float xf = floorf(x), yf = floorf(y);
  Sampler m = {b->at + (long)yf * b->stride + (long)xf, b->stride, x - xf, y - yf, {0}};
  m.above = ACROSS(&m);
  return m;
}

static inline void next_row(Sampler *m, f8 *row) {
  m->s += m->stride;
  f8 below = ACROSS(m);
  *row = m->above + m->fy * (below - m->above);
  m->above = below;
}

static inline Fit compare(const FlowImage *b, const Patch *p, long x, long y, float u, float v) {
  Sampler m = sample_at(b, clamp((float)x + u, b->w), clamp((float)y + v, b->h));
  f8 sum[4] = {0}; /* of d, d^2, d gx, d gy */
  for (int j = 0; j < FLOW_PATCH; j++) {
    f8 d;
    next_row(&m, &d);
    d -= p->i[j];
    sum[0] += d;
    sum[1] += d * d;
    sum[2] += d * p->gx[j];
    sum[3] += d * p->gy[j];
  }
  float t[4];
  sums(sum, t);
  return (Fit){u, v, t[1] - t[0] * t[0] / (FLOW_PATCH * FLOW_PATCH), t[2], t[3]};
}

/* Gauss-Newton with the inverse rule, as long as it helps; a patch that runs away is put back. */
static Fit descend(const FlowImage *b, const Patch *p, long x, long y, Fit start) {
  Fit best = start;
  for (int round = 0; round < FLOW_DESCENTS; round++) {
    float du = p->h11 * best.gu + p->h12 * best.gv, dv = p->h12 * best.gu + p->h22 * best.gv;
    Fit next = compare(b, p, x, y, best.u - du, best.v - dv);
    if (!(next.cost < best.cost)) break;
    best = next;
    if (du * du + dv * dv < flow_still) break;
  }
  float mu = best.u - start.u, mv = best.v - start.v;
  return mu * mu + mv * mv > FLOW_PATCH * FLOW_PATCH ? start : best;
}

static inline Fit better(Fit a, Fit b) { return b.cost < a.cost ? b : a; }

/* One pass over the patch rows [first, last): forward takes over displacements from the left and from above,
 * backward from the right and from below, within these rows only. */
void ISA_NAME(flow_search)(const FlowSearch *s, long first, long last, int backward) {
  const long step = backward ? -1 : 1;
  for (long i = 0; i < last - first; i++) {
    long r = backward ? last - 1 - i : first + i, y = flow_place(r, s->a->h);
    for (long j = 0; j < s->cols; j++) {
      long c = backward ? s->cols - 1 - j : j, x = flow_place(c, s->a->w), at = r * s->cols + c;
      Patch p;
      take_patch(s, y, x, &p);
      Fit fit = compare(s->b, &p, x, y, s->u[at], s->v[at]);
      if (j) fit = better(fit, compare(s->b, &p, x, y, s->u[at - step], s->v[at - step]));
      if (i) {
        long other = at - step * s->cols;
        fit = better(fit, compare(s->b, &p, x, y, s->u[other], s->v[other]));
      }
      fit = descend(s->b, &p, x, y, fit);
      s->u[at] = fit.u;
      s->v[at] = fit.v;
    }
  }
}

/* Pixels of one patch in the rows [first, last): weight 1 / max(1, |difference|)^2, equation 3 with a
 * squared weight: a patch that is off counts for next to nothing. */
static void spread(const FlowSearch *s, long r, long c, const FlowField *d, float *weight, long first,
                   long last) {
  const long y = flow_place(r, s->a->h), x = flow_place(c, s->a->w);
  const long top = first > y ? first : y, end = last < y + FLOW_PATCH ? last : y + FLOW_PATCH;
  const float u = s->u[r * s->cols + c], v = s->v[r * s->cols + c];
  const i8 magnitude = (i8){0} + 0x7fffffff;
  const f8 one = (f8){0} + 1;
  float px = clamp((float)x + u, s->b->w), py = clamp((float)y + v, s->b->h);
  Sampler m = sample_at(s->b, px, py + (float)(top - y));
  for (long j = top; j < end; j++) {
    f8 e;
    next_row(&m, &e);
    e -= READ(s->a->at + j * s->a->stride + x);
    e = (f8)((i8)e & magnitude);
    i8 more = e > one;
    f8 k = one / (f8)(((i8)e & more) | ((i8)one & ~more));
    k *= k;
    float *pu = d->u + j * d->stride + x, *pv = d->v + j * d->stride + x, *pw = weight + j * d->stride + x;
    AT(pu) += k * u;
    AT(pv) += k * v;
    AT(pw) += k;
  }
}

void ISA_NAME(flow_densify)(const FlowSearch *s, const FlowField *d, float *weight, long first, long last) {
  for (long i = first * d->stride; i < last * d->stride; i++) d->u[i] = d->v[i] = weight[i] = 0;
  for (long r = 0; r < s->rows; r++) {
    long y = flow_place(r, s->a->h);
    if (y >= last || y + FLOW_PATCH <= first) continue;
    for (long c = 0; c < s->cols; c++) spread(s, r, c, d, weight, first, last);
  }
  for (long y = first; y < last; y++)
    for (long i = y * d->stride; i < y * d->stride + d->w; i++) {
      float k = 1 / weight[i];
      d->u[i] *= k;
      d->v[i] *= k;
    }
}
