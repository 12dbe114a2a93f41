/* Correlations of the feature vectors of one picture with those of a window of another, on up to four levels of
 * a pyramid (Teed and Deng, "RAFT", ECCV 2020, section 3.2), made anew for the windows that are asked for: the
 * products of all pairs of pixels, which that paper keeps, are never all there.
 *
 * A point p of level l has the window of (2 radius + 1)^2 places p / 2^l + (i - radius, j - radius), whose
 * values are products at the pixels around them, interpolated bilinearly: (2 radius + 2)^2 products a point and
 * level. What lies outside the level is 0. i, the step in x, comes first in the output, as in the paper's code. */
#ifndef OPS_BODIES_CORRELATION_H
#define OPS_BODIES_CORRELATION_H

#include "ops/hot.h"

#include <math.h>

enum { LEVELS_MAX = 4, RADIUS_MAX = 8, REACH_MAX = 2 * RADIUS_MAX + 2 };

typedef struct Correlation {
  long pixels; /* of an image of points */
  long c;      /* numbers of a feature */
  long alone;  /* whether one image of features serves all images of points */
  long radius;
  int levels;
  long h[LEVELS_MAX], w[LEVELS_MAX];
  real scale; /* 1 / sqrt(c) */
} Correlation;

/* Where the products of a window are: from pixel (x, y) of the level on, `reach` each way; the shares of the
 * second ones; and which of them are pixels at all (from .. to, both ways; none where from >= to). */
typedef struct Reach {
  long x, y, x_from, x_to, y_from, y_to;
  real right, below;
} Reach;

BODY long correlation_reach(const Correlation *g) { return 2 * g->radius + 2; }
BODY long correlation_window(const Correlation *g) { return 2 * g->radius + 1; }
BODY long correlation_depth(const Correlation *g) {
  return g->levels * correlation_window(g) * correlation_window(g);
}

/* One axis: false where no pixel of the level is in the window. */
BODY bool correlation_axis(real p, long size, const Correlation *g, long *first, long *from, long *to,
                           real *share) {
  real margin = (real)(g->radius + 1);
  *first = *from = *to = 0, *share = 0;
  if (!(p > -margin && p < (real)size + margin)) return false; /* what is no number, too */
  real floor_ = RM(floor)(p);
  *share = p - floor_;
  *first = (long)floor_ - g->radius;
  *from = *first < 0 ? -*first : 0;
  *to = size - *first < correlation_reach(g) ? size - *first : correlation_reach(g);
  return *from < *to;
}

BODY bool correlation_place(const Correlation *g, const real *point, int level, Reach *r) {
  real part = (real)1 / (real)(1 << level);
  bool x = correlation_axis(point[0] * part, g->w[level], g, &r->x, &r->x_from, &r->x_to, &r->right);
  bool y = correlation_axis(point[1] * part, g->h[level], g, &r->y, &r->y_from, &r->y_to, &r->below);
  return x && y;
}

/* The gradient of the product at (x, y) of the reach, from those of a level's outputs. */
BODY real correlation_share(const Correlation *g, const Reach *r, const real *dy, long x, long y) {
  long window = correlation_window(g);
  real sum = 0;
  for (long i = x - 1; i <= x; i++) {
    if (i < 0 || i >= window) continue;
    for (long j = y - 1; j <= y; j++)
      if (j >= 0 && j < window)
        sum += (i == x ? 1 - r->right : r->right) * (j == y ? 1 - r->below : r->below) * dy[i * window + j];
  }
  return sum * g->scale;
}

#ifndef ON_CUDA

/* ---- products ---- */
#ifdef HOT_BODIES

#ifdef ISA_BUILD
enum { PART = LANES };
#else
enum { PART = 2 };
#endif
typedef real Part __attribute__((vector_size(PART * sizeof(real)), may_alias));
typedef real PartAt __attribute__((vector_size(PART * sizeof(real)), aligned(sizeof(real)), may_alias));
#if defined REAL_IS_DOUBLE
typedef int64_t PartPlaces __attribute__((vector_size(PART * sizeof(real))));
#else
typedef int32_t PartPlaces __attribute__((vector_size(PART * sizeof(real))));
#endif
#define SMALL static inline __attribute__((always_inline))

/* The sums of neighbours: of a's, then of b's. */
SMALL Part folded(Part a, Part b) {
  PartPlaces even;
  for (int l = 0; l < PART; l++) even[l] = 2 * l;
  return __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, even + 1);
}

/* to[k] = the product of a with the k-th of n vectors, at most `few`; few is 2, 4 or 8, and known when it is
 * compiled: as many sums are under way at once. */
SMALL void products_of(const int few, long n, long c, const real *a, const real *b, real *to) {
  Part sum[8];
  const real *from[8];
  long k = 0;
  for (int i = 0; i < few; i++) from[i] = b + (i < n ? i : n - 1) * c, sum[i] = (Part){0};
  for (; k + PART <= c; k += PART) {
    Part v = *(const PartAt *)(a + k);
#pragma GCC unroll 8
    for (int i = 0; i < few; i++) sum[i] += v * *(const PartAt *)(from[i] + k);
  }
  for (int lanes = PART, left = few; lanes > 1; lanes /= 2) {
    bool pairs = left > 1;
    left = pairs ? left / 2 : 1;
    for (int i = 0; i < left; i++) sum[i] = folded(sum[pairs ? 2 * i : 0], sum[pairs ? 2 * i + 1 : 0]);
  }
  for (int i = 0; i < few && i < n; i++) to[i] = sum[i / PART][i % PART];
  for (; k < c; k++)
    for (int i = 0; i < few && i < n; i++) to[i] += a[k] * from[i][k];
}

SMALL void products(long n, long c, const real *a, const real *b, real *to) {
  for (; n > 4; n -= 8, b += 8 * c, to += 8) products_of(8, n, c, a, b, to);
  if (n > 2)
    products_of(4, n, c, a, b, to);
  else if (n > 0)
    products_of(2, n, c, a, b, to);
}

/* A window's products into its outputs. */
SMALL void interpolate(const long window, const real *product, const Reach *r, real scale, real *y) {
  const long reach = window + 1;
  real across[REACH_MAX * REACH_MAX], right = r->right, below = r->below;
  for (long v = 0; v < reach; v++)
    for (long u = 0; u < window; u++) {
      const real *p = product + v * reach + u;
      across[v * window + u] = p[0] + right * (p[1] - p[0]);
    }
  for (long at = 0; at < window * window; at++) across[at] += below * (across[at + window] - across[at]);
  for (long u = 0; u < window; u++)
    for (long v = 0; v < window; v++) y[u * window + v] = scale * across[v * window + u];
}

#endif

/* Index i: a point. */
struct correlation_forward_args {
  const real *first;
  const real *points;
  const real *level[LEVELS_MAX];
  real *y;
  Correlation g;
};

#ifdef HOT_BODIES
SMALL void look_up(const long radius, const struct correlation_forward_args *a, long i) {
  const Correlation *g = &a->g;
  const long reach = 2 * radius + 2, window = 2 * radius + 1;
  const real *own = a->first + (g->alone ? i % g->pixels : i) * g->c;
  real *y = a->y + i * correlation_depth(g);
  for (int l = 0; l < g->levels; l++, y += window * window) {
    real product[REACH_MAX * REACH_MAX];
    Reach r;
    if (!correlation_place(g, a->points + 2 * i, l, &r)) {
      for (long k = 0; k < window * window; k++) y[k] = 0;
      continue;
    }
    if ((r.x_to - r.x_from) * (r.y_to - r.y_from) < reach * reach)
      for (long k = 0; k < reach * reach; k++) product[k] = 0;
    const real *other = a->level[l] + i / g->pixels * g->h[l] * g->w[l] * g->c;
    for (long v = r.y_from; v < r.y_to; v++)
      products(r.x_to - r.x_from, g->c, own, other + ((r.y + v) * g->w[l] + r.x + r.x_from) * g->c,
               product + v * reach + r.x_from);
    interpolate(window, product, &r, g->scale, y);
  }
}

BODY void correlation_forward_body(const struct correlation_forward_args *a, long i) {
  if (a->g.radius == 3)
    look_up(3, a, i); /* RAFT's small and large network */
  else if (a->g.radius == 4)
    look_up(4, a, i);
  else
    look_up(a->g.radius, a, i);
}
#endif
HOT_KERNEL(correlation_forward)

/* Index i: a pixel of first, which the points of one image or of all have as their own. */
struct correlation_first_args {
  const real *points;
  const real *level[LEVELS_MAX];
  const real *dy;
  real *dfirst;
  bool add;
  long images; /* of points */
  Correlation g;
};

BODY void correlation_first_body(const struct correlation_first_args *a, long i) {
  const Correlation *g = &a->g;
  long square = correlation_window(g) * correlation_window(g);
  real *restrict to = a->dfirst + i * g->c;
  if (!a->add)
    for (long k = 0; k < g->c; k++) to[k] = 0;
  for (long at = i; at < a->images * g->pixels; at += g->alone ? g->pixels : a->images * g->pixels)
    for (int l = 0; l < g->levels; l++) {
      const real *dy = a->dy + at * correlation_depth(g) + l * square;
      Reach r;
      if (!correlation_place(g, a->points + 2 * at, l, &r)) continue;
      const real *other = a->level[l] + at / g->pixels * g->h[l] * g->w[l] * g->c;
      for (long v = r.y_from; v < r.y_to; v++)
        for (long u = r.x_from; u < r.x_to; u++) {
          real share = correlation_share(g, &r, dy, u, v);
          const real *restrict x = other + ((r.y + v) * g->w[l] + r.x + u) * g->c;
          for (long k = 0; k < g->c; k++) to[k] += share * x[k];
        }
    }
}
HOT_KERNEL(correlation_first)

/* Index i: a band of `rows` rows of an image of a level, which looks at all points of its image, in their order,
 * and takes what falls into it: no two indices write to one place. */
struct correlation_level_args {
  const real *first;
  const real *points;
  const real *dy;
  real *dlevel;
  bool add;
  int level;
  long rows, bands;
  Correlation g;
};

BODY void correlation_level_body(const struct correlation_level_args *a, long i) {
  const Correlation *g = &a->g;
  long h = g->h[a->level], w = g->w[a->level], square = correlation_window(g) * correlation_window(g);
  long image = i / a->bands, top = i % a->bands * a->rows, end = top + a->rows < h ? top + a->rows : h;
  real *to = a->dlevel + image * h * w * g->c;
  if (!a->add)
    for (long k = top * w * g->c; k < end * w * g->c; k++) to[k] = 0;
  for (long at = image * g->pixels; at < (image + 1) * g->pixels; at++) {
    Reach r;
    if (!correlation_place(g, a->points + 2 * at, a->level, &r)) continue;
    const real *dy = a->dy + at * correlation_depth(g) + a->level * square;
    const real *restrict own = a->first + (g->alone ? at % g->pixels : at) * g->c;
    for (long v = r.y_from; v < r.y_to; v++) {
      if (r.y + v < top || r.y + v >= end) continue;
      for (long u = r.x_from; u < r.x_to; u++) {
        real share = correlation_share(g, &r, dy, u, v);
        real *restrict d = to + ((r.y + v) * w + r.x + u) * g->c;
        for (long k = 0; k < g->c; k++) d[k] += share * own[k];
      }
    }
  }
}
HOT_KERNEL(correlation_level)

#endif
#endif
