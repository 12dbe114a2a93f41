/* The steps of sharpening on the CPU. */
#include "motion/sharpen_kernels.h"

#include "core/pool.h"
#include "motion/smooth.h"

enum { CHUNK = 4096 }; /* pixels */

static int colours(Device *d, const Content *c, const uint8_t *image, float *out) {
  for (long y = 0; y < c->h; y++)
    for (long i = 0; i < 3 * c->w; i++) out[3 * y * c->w + i] = image[3 * y * c->row + i];
  return (void)d, 1;
}

static int take(Device *d, const Content *c, const float *map, int channels, int k, float *plane) {
  for (long y = 0; y < c->h; y++)
    for (long x = 0; x < c->w; x++) plane[y * c->w + x] = map[(y * c->row + x) * channels + k];
  return (void)d, 1;
}

static int put(Device *d, const Content *c, const float *plane, int channels, int k, float *map) {
  for (long y = 0; y < c->h; y++)
    for (long x = 0; x < c->w; x++) {
      const float p = plane[y * c->w + x];
      map[(y * c->row + x) * channels + k] = p < 0 ? 0 : p > 1 ? 1 : p;
    }
  return (void)d, 1;
}

struct score_args {
  const Mixture *in, *out;
  const float *colours, *map;
  float *q, *trust;
};
BODY void score_body(const struct score_args *a, long i) {
  sharpen_score(a->in, a->out, a->colours + 3 * i, a->map[i], a->q + i, a->trust + i);
}
KERNEL(score)

static int score(Device *d, long pixels, const Mixture *in, const Mixture *out, const float *colour,
                 const float *map, float *q, float *trust) {
  return (void)d, EACH(score, pixels, CHUNK, in, out, colour, map, q, trust);
}

static long work(long h, long w) { return 3 * h * w; }

static int smooth(Device *d, const float *colour, long h, long w, const float *q, const float *trust,
                  float smoothness, float *p, float *room) {
  return (void)d, smooth_mask(colour, h, w, q, trust, smoothness, p, room);
}

static int share(Device *d, long pixels, int hands, float *map) {
  for (long i = 0; i < pixels; i++) sharpen_share(map + i * (hands + 1), hands);
  return (void)d, 1;
}

/* ---- priors: rows of a hand's box ---- */

typedef struct Rows {
  const Priors *p;
  const PriorHand *h;
  bool claim;
} Rows;

static int place_row(void *arg, long row) {
  const Rows *r = arg;
  for (long x = r->h->box.x0; x < r->h->box.x1; x++) prior_place(r->p, r->h, x, r->h->box.y0 + row, r->claim);
  return 1;
}

static int place(Device *d, const Priors *p, const PriorHand *h, bool claim) {
  Rows job = {p, h, claim};
  return (void)d, parallel(h->box.y1 - h->box.y0, place_row, &job);
}

static int ground(Device *d, const Priors *p, const PriorHand *h) {
  for (long y = h->box.y0; y < h->box.y1; y++)
    for (long x = h->box.x0; x < h->box.x1; x++) {
      const int level = prior_level_of(p, x, y);
      if (level >= 0) p->counts[level]++;
    }
  *p->ground = prior_ground(p->counts);
  return (void)d, 1;
}

static int weigh_row(void *arg, long row) {
  const Rows *r = arg;
  for (long x = r->h->box.x0; x < r->h->box.x1; x++) prior_weigh(r->p, x, r->h->box.y0 + row);
  return 1;
}

static int weigh(Device *d, const Priors *p, const PriorHand *h) {
  Rows job = {p, h, false};
  return (void)d, parallel(h->box.y1 - h->box.y0, weigh_row, &job);
}

static int rest(Device *d, long pixels, int hands, float *map) {
  for (long i = 0; i < pixels; i++) prior_rest(map + i * (hands + 1), hands);
  return (void)d, 1;
}

const SharpenKernels sharpen_cpu = {.prior = {place, ground, weigh, rest},
                                    .colours = colours,
                                    .take = take,
                                    .put = put,
                                    .score = score,
                                    .work = work,
                                    .smooth = smooth,
                                    .share = share};
