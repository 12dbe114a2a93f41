/* See conv_sparse.h. */
#include "ops/conv_sparse.h"

#include "core/bulk.h"
#include "core/pool.h"

#include <stdatomic.h>
#include <string.h>

enum {
  SPARSE = 2048, /* one pixel in so many is few */
  BLOCK = 2048   /* pixels per chunk */
};

/* ---- finding them ---- */

typedef struct Search {
  const real *dy;
  long pixels, channels, most;
  atomic_long total;
} Search;

static bool is_zero(const real *v, long n) {
  const char *p = (const char *)v;
  return n == 0 || (!*p && !memcmp(p, p + 1, (size_t)n * sizeof *v - 1));
}

/* Counts; everybody stops once there are too many. */
static int count_chunk(void *arg, long chunk) {
  Search *s = arg;
  long first = chunk * BLOCK, end = first + BLOCK < s->pixels ? first + BLOCK : s->pixels;
  if (atomic_load(&s->total) > s->most || is_zero(s->dy + first * s->channels, (end - first) * s->channels))
    return 1;
  for (long i = first; i < end && atomic_load(&s->total) <= s->most; i++)
    if (!is_zero(s->dy + i * s->channels, s->channels)) atomic_fetch_add(&s->total, 1);
  return 1;
}

static void list(const Search *s, long *at) {
  for (long first = 0; first < s->pixels; first += BLOCK) {
    long end = first + BLOCK < s->pixels ? first + BLOCK : s->pixels;
    if (is_zero(s->dy + first * s->channels, (end - first) * s->channels)) continue;
    for (long i = first; i < end; i++)
      if (!is_zero(s->dy + i * s->channels, s->channels)) *at++ = i;
  }
}

int REALNAME(sparse_find)(Call *c, const ConvShape *s, const real *dy, SparsePixels *p, bool *few) {
  Search search = {.dy = dy, .pixels = s->n * s->ho * s->wo, .channels = s->co};
  search.most = search.pixels / SPARSE;
  *few = false;
  *p = (SparsePixels){0};
  if (!search.most) return 1;
  if (!parallel((search.pixels + BLOCK - 1) / BLOCK, count_chunk, &search)) return 0;
  if (!(*few = search.total <= search.most)) return 1;
  p->n = search.total;
  if (!(p->at = call_scratch(c, (size_t)p->n * sizeof *p->at))) return 0;
  list(&search, p->at);
  return 1;
}

/* ---- gradients ---- */

/* Input pixel of an output pixel under a tap of the kernel, or -1: outside the image. */
static long under(const ConvShape *s, long pixel, long ky, long kx) {
  long image = pixel / (s->ho * s->wo), y = pixel / s->wo % s->ho * s->stride_h - s->top + ky * s->dilation_h,
       x = pixel % s->wo * s->stride_w - s->left + kx * s->dilation_w;
  return y < 0 || y >= s->h || x < 0 || x >= s->w ? -1 : (image * s->h + y) * s->w + x;
}

static void add_scaled(long n, real a, const real *restrict x, real *restrict y) {
  for (long i = 0; i < n; i++) y[i] += a * x[i];
}

int REALNAME(sparse_backward_data)(const ConvShape *s, const SparsePixels *p, const real *dy,
                                   const real *weight, real *dx, bool add) {
  long ci = s->ci / s->groups, co = s->co / s->groups;
  if (!add && !bulk_clear(dx, (size_t)(s->n * s->h * s->w * s->ci) * sizeof *dx)) return 0;
  for (long i = 0; i < p->n; i++)
    for (long tap = 0; tap < s->kh * s->kw; tap++) {
      long from = under(s, p->at[i], tap / s->kw, tap % s->kw);
      for (long o = 0; from >= 0 && o < s->co; o++)
        add_scaled(ci, dy[p->at[i] * s->co + o], weight + (o * s->kh * s->kw + tap) * ci,
                   dx + from * s->ci + o / co * ci);
    }
  return 1;
}

typedef struct WeightJob {
  const ConvShape *s;
  const SparsePixels *p;
  const real *x, *dy;
  real *dw;
  bool add;
} WeightJob;

static int weight_chunk(void *arg, long o) {
  const WeightJob *j = arg;
  const ConvShape *s = j->s;
  long ci = s->ci / s->groups, taps = s->kh * s->kw;
  real *dw = j->dw + o * taps * ci;
  const real *x = j->x + o / (s->co / s->groups) * ci;
  if (!j->add) memset(dw, 0, (size_t)(taps * ci) * sizeof *dw);
  for (long i = 0; i < j->p->n; i++)
    for (long tap = 0; tap < taps; tap++) {
      long from = under(s, j->p->at[i], tap / s->kw, tap % s->kw);
      if (from >= 0) add_scaled(ci, j->dy[j->p->at[i] * s->co + o], x + from * s->ci, dw + tap * ci);
    }
  return 1;
}

int REALNAME(sparse_backward_weight)(const ConvShape *s, const SparsePixels *p, const real *x, const real *dy,
                                     real *dw, bool add) {
  WeightJob j = {s, p, x, dy, dw, add};
  return parallel(s->co, weight_chunk, &j);
}
