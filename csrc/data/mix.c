/* Both ways of mix.h, on blocks: labels, maps and points count blocks of stride × stride pixels. */
#include "data/mix.h"

#include "core/pool.h"

#include <math.h>
#include <string.h>

/* The blocks of a slot; `whole` of those in a row have all of their pixels. */
typedef struct Blocks {
  long w, h, whole;
} Blocks;

static Blocks blocks_of(const Slot *s) {
  const long k = s->stride;
  return (Blocks){(s->w + k - 1) / k, (s->h + k - 1) / k, s->w / k};
}

Mixing mix_draw(const Augment *a, Random *r) {
  if (!a->on || !(a->paste > 0 || a->join > 0)) return APART;
  const double u = random_uniform(r);
  return u < a->paste ? PASTE : u < a->paste + a->join ? JOIN : APART;
}

/* The block a point lies in. */
static long block_at(const float *point, const Blocks *n) {
  const long x = lroundf(point[0]), y = lroundf(point[1]);
  return (y < 0 ? 0 : y < n->h ? y : n->h - 1) * n->w + (x < 0 ? 0 : x < n->w ? x : n->w - 1);
}

/* Moves the hands for which keep[k] to the front; returns how many. */
static long keep_only(const bool *keep, long hands, long blocks, float *maps, float *points) {
  long kept = 0;
  for (long k = 0; k < hands; k++) {
    if (!keep[k]) continue;
    if (kept < k) {
      memcpy(maps + kept * blocks, maps + k * blocks, (size_t)blocks * sizeof *maps);
      memcpy(points + 2 * kept, points + 2 * k, 2 * sizeof *points);
    }
    kept++;
  }
  return kept;
}

/* ---- one upon the other ---- */

/* How far the second hides the first: 1 on its hands and objects, with an edge as soft as its maps are. */
static void opacity_of(const Slot *a, const Slot *b, long blocks, double tau, float *opacity) {
  enum { STEEPNESS = 4 };
  for (long p = 0; p < blocks; p++) {
    float largest = 0;
    for (long k = 0; k < b->kept; k++) largest = fmaxf(largest, b->maps[k * blocks + p]);
    const float o = 0.5f + STEEPNESS * (largest - (float)tau);
    opacity[p] = a->maps[p] < 0 || o < 0 ? 0 : o > 1 ? 1 : o;
  }
}

/* Between the middles of the blocks around the pixel. */
static float opacity_at(const float *opacity, const Blocks *n, long stride, long x, long y) {
  const float middle = (float)(stride - 1) / 2;
  const float u = fminf(fmaxf(((float)x - middle) / (float)stride, 0), (float)(n->w - 1)),
              v = fminf(fmaxf(((float)y - middle) / (float)stride, 0), (float)(n->h - 1));
  const long left = (long)u, above = (long)v, right = left + 1 < n->w ? left + 1 : left,
             below = above + 1 < n->h ? above + 1 : above;
  const float fx = u - (float)left, fy = v - (float)above;
  const float *top = opacity + above * n->w, *bottom = opacity + below * n->w;
  return (1 - fy) * ((1 - fx) * top[left] + fx * top[right]) +
         fy * ((1 - fx) * bottom[left] + fx * bottom[right]);
}

static int paste(const Labelling *l, Slot *a, const Slot *b) {
  const Blocks n = blocks_of(a);
  const long blocks = n.w * n.h, hands = a->kept + b->kept;
  float *opacity = scratch(0, (size_t)blocks * sizeof *opacity);
  bool *keep = scratch(1, (size_t)hands * sizeof *keep);
  if (!opacity || !keep) return 0;
  opacity_of(a, b, blocks, l->tau, opacity);
  long kept = 0;
  for (long k = 0; k < hands; k++) {
    const bool hidden = opacity[block_at(a->points + 2 * k, &n)] >= 0.5f;
    kept += keep[k] = hidden == (k >= a->kept);
  }
  if (!kept) return 1;
  for (long y = 0; y < a->h; y++)
    for (long x = 0; x < a->w; x++) {
      const float o = opacity_at(opacity, &n, a->stride, x, y);
      uint8_t *to = a->image + 3 * (y * a->w + x);
      const uint8_t *from = b->image + 3 * (y * a->w + x);
      for (int c = 0; c < 3; c++) to[c] = (uint8_t)((1 - o) * (float)to[c] + o * (float)from[c] + 0.5f);
    }
  for (long p = 0; p < blocks; p++) {
    const bool inside = a->maps[p] >= 0;
    if (opacity[p] >= 0.5f) a->label[p] = b->label[p];
    for (long k = 0; k < hands; k++) {
      float *map = a->maps + k * blocks + p;
      const float share = k < a->kept ? 1 - opacity[p] : opacity[p];
      *map = inside ? share * fmaxf(*map, 0) : MAP_IGNORED;
    }
  }
  a->kept = keep_only(keep, hands, blocks, a->maps, a->points);
  return 1;
}

/* ---- one beside the other ---- */

/* Columns of blocks: `count` of them, from `from` in a picture of one's own, at `to` in the picture of both. */
typedef struct Window {
  long from, to, count;
} Window;

/* Around one of the hands, inside the picture. */
static Window window_around(const Slot *s, const Blocks *n, long to, long count, Random *r) {
  const long x = lroundf(s->points[2 * random_below(r, s->kept)]) - count / 2;
  const long last = n->whole - count;
  return (Window){x < 0 ? 0 : x > last ? last : x, to, count};
}

/* Brings a row of `size` bytes a block to its columns; the rest of the row is as it was. */
static void move_row(const Window *w, size_t size, void *to, const void *from) {
  memmove((char *)to + (size_t)w->to * size, (const char *)from + (size_t)w->from * size,
          (size_t)w->count * size);
}

/* Moves the points; keep[k]: whether the k-th is still seen. */
static void move_points(const Window *w, long hands, float *points, bool *keep) {
  for (long k = 0; k < hands; k++) {
    float *x = points + 2 * k;
    keep[k] = *x >= (float)w->from - 0.5f && *x < (float)(w->from + w->count) - 0.5f;
    *x += (float)(w->to - w->from);
  }
}

/* A hand's map in the picture of both: nothing of it beside its own window. own, other: the windows; seen: a map of
 * the other sample, that tells where its picture ends. */
static void join_map(const Blocks *n, const Window *own, const Window *other, const float *seen, float *map) {
  for (long y = 0; y < n->h; y++, map += n->w, seen += n->w) {
    move_row(own, sizeof *map, map, map);
    for (long i = 0; i < other->count; i++) map[other->to + i] = seen[other->from + i] < 0 ? MAP_IGNORED : 0;
  }
}

static int join(Random *r, Slot *a, const Slot *b) {
  const Blocks n = blocks_of(a);
  const long blocks = n.w * n.h, hands = a->kept + b->kept, stride = a->stride;
  const long left = lround(random_range(r, 0.4, 0.6) * (double)n.whole);
  const bool first = random_uniform(r) < 0.5; /* whether `a` is on the left */
  if (left < 1 || left >= n.whole) return 1;
  const long own = first ? left : n.whole - left;
  const Window wa = window_around(a, &n, first ? 0 : left, own, r),
               wb = window_around(b, &n, first ? left : 0, n.whole - own, r);
  bool *keep = scratch(0, (size_t)hands * sizeof *keep);
  float *seen = scratch(1, (size_t)blocks * sizeof *seen);
  if (!keep || !seen) return 0;
  const size_t pixels = 3 * (size_t)stride;
  for (long y = 0; y < a->h; y++) {
    uint8_t *to = a->image + 3 * y * a->w;
    move_row(&wa, pixels, to, to);
    move_row(&wb, pixels, to, b->image + 3 * y * a->w);
  }
  for (long y = 0; y < n.h; y++) {
    int32_t *to = a->label + y * n.w;
    move_row(&wa, sizeof *to, to, to);
    move_row(&wb, sizeof *to, to, b->label + y * n.w);
  }
  memcpy(seen, a->maps, (size_t)blocks * sizeof *seen);
  for (long k = 0; k < a->kept; k++) join_map(&n, &wa, &wb, b->maps, a->maps + k * blocks);
  for (long k = a->kept; k < hands; k++) join_map(&n, &wb, &wa, seen, a->maps + k * blocks);
  move_points(&wa, a->kept, a->points, keep);
  move_points(&wb, b->kept, a->points + 2 * a->kept, keep + a->kept);
  a->kept = keep_only(keep, hands, blocks, a->maps, a->points);
  return 1;
}

int mix(Mixing how, const Labelling *l, Random *r, Slot *a, const Slot *b) {
  if (how == APART || !a->kept || !b->kept) return 1;
  return how == PASTE ? paste(l, a, b) : join(r, a, b);
}
