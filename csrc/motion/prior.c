/* Priors of sharpening, hand by hand, within the box that a hand may reach. Pixels are the device's (prior_kernels.h);
 * what follows from landmarks is computed here. */
#include "motion/prior.h"

#include "core/error.h"
#include "motion/kernels.h"
#include "motion/person_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double margin = 1; /* of ground beyond reach, in hand sizes */

static long within(double x, long most) { return x < 0 ? 0 : x > (double)most ? most : (long)x; }

static const double beyond = 1e6 - 1; /* what a shape takes */

static double size_of(const Scene *s, int k) {
  return fmax(points_size(s->vertex_count[k], s->vertices[k]), 1);
}

PriorReach prior_reach(const Scene *s, int k) {
  double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
  for (long i = 0; i < 2 * s->vertex_count[k]; i++) {
    const double v = fmax(-beyond, fmin(beyond, s->vertices[k][i]));
    low[i % 2] = fmin(low[i % 2], v), high[i % 2] = fmax(high[i % 2], v);
  }
  const double far = (prior_reach_sizes + margin) * size_of(s, k);
  return (PriorReach){within(low[0] - far, s->content_width), within(low[1] - far, s->content_height),
                      within(high[0] + far + 1, s->content_width),
                      within(high[1] + far + 1, s->content_height)};
}

/* A hand's hull and outline behind each other, on the host or a device. */
typedef struct Lines {
  double *hull;
  float (*outline)[2];
} Lines;

static size_t lines_bytes(long points) {
  return (size_t)(points + 1) * 2 * sizeof(double) + (size_t)(points + 2) * 2 * sizeof(float);
}

static Lines lines_at(void *block, long points) {
  double *hull = block;
  return (Lines){hull, (float(*)[2])(hull + 2 * (points + 1))};
}

/* What the landmarks of hand k say, with lines in a block of the host. */
static int know(const Scene *s, int k, Lines host, PriorHand *h) {
  const long n = s->vertex_count[k];
  float *points = malloc((size_t)n * 2 * sizeof *points);
  if (!points) return fail("sharpen: out of memory for %ld points of a hand", n);
  for (long i = 0; i < 2 * n; i++) points[i] = (float)fmax(-beyond, fmin(beyond, s->vertices[k][i]));
  int ok = shape_of(&h->shape, &(PersonHand){points, (int)n}, host.outline) &&
           (h->corners = points_hull(n, s->vertices[k], host.hull)) > 0;
  free(points);
  h->box = prior_reach(s, k);
  h->size = size_of(s, k);
  return ok;
}

/* The same with lines in the device's memory, at `block`. */
static int know_there(const Scene *s, int k, void *block, PriorHand *h) {
  const long n = s->vertex_count[k];
  const size_t bytes = lines_bytes(n);
  void *host = calloc(1, bytes);
  int ok = (host || fail("sharpen: out of memory for %ld points of a hand", n)) &&
           know(s, k, lines_at(host, n), h) && s->device->copy(s->device, block, host, bytes);
  free(host);
  const Lines there = lines_at(block, n);
  h->hull = there.hull;
  h->shape.outline = there.outline;
  return ok;
}

static size_t whole(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* All hands, with lines from `block` on. */
static int know_all(const Scene *s, char *block, PriorHand *hands) {
  for (int k = 0; k < s->hands; k++) {
    if (!know_there(s, k, block, &hands[k])) return 0;
    block += whole(lines_bytes(s->vertex_count[k]));
  }
  return 1;
}

static int fill_maps(const Scene *s, Priors *p, const PriorHand *hands) {
  Device *d = s->device;
  const PriorKernels *step = &motion_kernels(d)->sharpen->prior;
  const long n = s->content_height * s->content_width, pixels = s->height * s->width;
  if (!d->fill(d, p->owned, NULL, 1, n) || !d->fill(d, p->out, NULL, sizeof *p->out, pixels * (s->hands + 1)))
    return 0;
  for (int k = 0; k < s->hands; k++)
    if (!step->place(d, p, &hands[k], true)) return 0;
  for (p->k = 0; p->k < s->hands; p->k++) {
    const PriorHand *h = &hands[p->k];
    if (!step->place(d, p, h, false) || !d->fill(d, p->counts, NULL, sizeof *p->counts, PRIOR_COUNTS) ||
        !step->ground(d, p, h) || !step->weigh(d, p, h))
      return 0;
  }
  return step->rest(d, pixels, s->hands, p->out);
}

int prior_maps(const Scene *s, const float *map, float *out) {
  Device *d = s->device;
  const size_t n = (size_t)(s->content_height * s->content_width), distances = whole(n * sizeof(float)),
               counts = whole((PRIOR_COUNTS + 1) * sizeof(unsigned)), flags = whole(n);
  size_t bytes = distances + counts + 2 * flags;
  for (int k = 0; k < s->hands; k++) bytes += whole(lines_bytes(s->vertex_count[k]));
  PriorHand *hands = calloc((size_t)s->hands + 1, sizeof *hands);
  char *block = hands ? d->take(d, bytes) : NULL;
  int ok = block || (!hands && fail("sharpen: out of memory for %d hands", s->hands));
  if (ok) {
    Priors p = {
        .width = s->width, .content_width = s->content_width, .hands = s->hands, .map = map, .out = out};
    p.distance = (float *)block;
    p.counts = (unsigned *)(block + distances);
    p.ground = (float *)(p.counts + PRIOR_COUNTS);
    p.owned = (uint8_t *)(block + distances + counts);
    p.mine = p.owned + flags;
    ok = know_all(s, block + distances + counts + 2 * flags, hands) && fill_maps(s, &p, hands);
  }
  d->give(d, block, bytes);
  free(hands);
  return ok;
}
