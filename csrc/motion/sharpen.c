/* Sharpening: rounds of learning colours, scoring pixels and agreeing with neighbours, hand by hand. Hands know
 * of each other by their priors, and then not until what they claim is shared out. Learning reads a few thousand
 * pixels, and cuts are made, on the host: a device's planes of the hand's window are copied there. */
#include "motion/sharpen.h"

#include "core/pool.h"
#include "motion/cut.h"
#include "motion/kernels.h"
#include "motion/points.h"
#include "motion/prior.h"

#include <math.h>

enum { ROUNDS = 4, COMPONENTS = 5 };

const char *const sharpen_name[SHARPENS] = {"cut", "walker"};

static const float surely_in = 0.4f, surely_out = 0.1f; /* responsibility to learn colours from */
static const double enough = 0.1;                       /* of what is in reach, to learn the ground's from */
static const float walker_smoothness = 100;
/* Of a cut, for a pixel of hand size: outlines cost as they are long, colours and places as areas are large. */
static const float cut_smoothness = 0.4f, cut_smoothness_most = 60;

typedef struct Cut {
  Device *device;
  Sharpen how;
  const SharpenKernels *step;
  long h, w;
  float smoothness;                                                    /* of a cut of this hand */
  float *block, *colours /* h x w x 3 */, *map, *q, *trust, *p, *work; /* the device's */
  /* The host's: learning's weights or cutting's odds; what it sees of a plane and of the colours, which are
   * the device's or copied; where there is a map. */
  float *host, *weights, *seen, *copied;
  const float *seen_colours;
  uint8_t *reached;
  size_t bytes, host_bytes;
  Mixture in, out;
} Cut;

/* A plane of the device as the host sees it; NULL with a message. */
static const float *see(const Cut *c, const float *plane, float *seen, long floats) {
  if (c->device == device_cpu()) return plane;
  return device_copy(device_cpu(), seen, c->device, plane, (size_t)floats * sizeof *seen) ? seen : NULL;
}

/* Weighs what is out: in a soft mask below a level, within reach or anywhere. Its share of what is in reach. */
static double weigh_out(Cut *c, const float *soft, float below, int anywhere) {
  double out = 0, reached = 1;
  for (long i = 0; i < c->h * c->w; i++) {
    c->weights[i] = (anywhere || c->reached[i]) && soft[i] < below ? 1 - soft[i] : 0;
    out += c->weights[i], reached += c->reached[i];
  }
  return out / reached;
}

/* Learns both mixtures from soft masks: in the first round the map where it is sure, then the result so far. What
 * is beyond the hand's reach (its map is 0) teaches nothing unless there is hardly anything else: it is the ground
 * near by that the hand has to be told from. *found: both could be learned. */
static int learn(Cut *c, int round, int *found) {
  const long n = c->h * c->w;
  const float above = round ? 0.5f : surely_in;
  const float *soft = see(c, round ? c->p : c->map, c->seen, n);
  if (!soft) return 0;
  for (long i = 0; i < n && !round; i++) c->reached[i] = soft[i] > 0;
  for (long i = 0; i < n; i++) c->weights[i] = soft[i] > above ? soft[i] : 0;
  *found = mixture_fit(&c->in, c->seen_colours, c->weights, n, COMPONENTS);
  if (!*found) return 1;
  const float below = round ? 0.5f : surely_out;
  if (weigh_out(c, soft, below, 0) < enough) weigh_out(c, soft, below, 1);
  *found = mixture_fit(&c->out, c->seen_colours, c->weights, n, COMPONENTS);
  return 1;
}

/* The mask of the scores q, cut on the host. */
static int cut(Cut *c) {
  const long n = c->h * c->w;
  const float *q = see(c, c->q, c->seen, n), little = 1e-7f;
  if (!q) return 0;
  for (long i = 0; i < n; i++) c->weights[i] = logf((q[i] + little) / (1 - q[i] + little));
  float *mask = c->device == device_cpu() ? c->p : c->seen;
  if (!cut_mask(c->seen_colours, c->h, c->w, c->weights, c->smoothness, mask)) return 0;
  return mask == c->p || device_copy(c->device, c->p, device_cpu(), mask, (size_t)n * sizeof *mask);
}

static int walk(Cut *c) {
  return c->step->smooth(c->device, c->colours, c->h, c->w, c->q, c->trust, walker_smoothness, c->p, c->work);
}

static int sharpen_hand(Cut *c) {
  const long n = c->h * c->w;
  if (!c->device->copy(c->device, c->p, c->map, (size_t)n * sizeof *c->p)) return 0;
  for (int round = 0; round < ROUNDS; round++) {
    int found;
    if (!learn(c, round, &found)) return 0;
    if (!found) return 1;
    if (!c->step->score(c->device, n, &c->in, &c->out, c->colours, c->map, c->q, c->trust)) return 0;
    if (!(c->how == SHARPEN_CUT ? cut(c) : walk(c))) return 0;
  }
  return 1;
}

static int open_cut(Cut *c, long n) {
  const long host = c->device == device_cpu() ? n : 5 * n;
  float **planes[] = {&c->map, &c->q, &c->trust, &c->p, &c->work};
  c->bytes = (size_t)(7 * n + c->step->work(c->h, c->w)) * sizeof(float);
  c->host_bytes = (size_t)host * sizeof(float) + (size_t)n;
  c->block = c->device->take(c->device, c->bytes);
  c->host = c->block ? memory_take(c->host_bytes) : NULL;
  if (!c->host) return 0;
  c->colours = c->block;
  for (int i = 0; i < 5; i++) *planes[i] = c->block + (3 + i) * n;
  c->weights = c->host, c->seen = c->host + n, c->copied = c->host + 2 * n;
  c->reached = (uint8_t *)(c->host + host);
  return 1;
}

static void close_cut(const Cut *c) {
  memory_give(c->host, c->host_bytes);
  c->device->give(c->device, c->block, c->bytes);
}

typedef struct Job {
  const Scene *scene;
  Sharpen how;
  const uint8_t *image;
  const float *prior;
  float *out;
} Job;

/* One hand, in the window of what it may reach: nothing else is looked at. */
static int sharpen_one(void *arg, long k) {
  const Job *j = arg;
  const Scene *s = j->scene;
  const PriorReach r = prior_reach(s, (int)k);
  const long at = r.y0 * s->width + r.x0;
  const int channels = s->hands + 1;
  Cut c = {.device = s->device,
           .how = j->how,
           .step = motion_kernels(s->device)->sharpen,
           .h = r.y1 - r.y0,
           .w = r.x1 - r.x0,
           .smoothness = fminf(cut_smoothness * (float)points_size(s->vertex_count[k], s->vertices[k]),
                               cut_smoothness_most)};
  if (c.h < 1 || c.w < 1) return 1;
  const Content window = {c.h, c.w, s->width};
  int ok = open_cut(&c, c.h * c.w) && c.step->colours(c.device, &window, j->image + 3 * at, c.colours);
  if (ok) c.seen_colours = see(&c, c.colours, c.copied, 3 * c.h * c.w);
  ok = ok && c.seen_colours &&
       c.step->take(c.device, &window, j->prior + at * channels, channels, (int)k, c.map) &&
       sharpen_hand(&c) && c.step->put(c.device, &window, c.p, channels, (int)k, j->out + at * channels);
  close_cut(&c);
  return ok;
}

/* Cuts of several hands are made at once: a cut itself takes one thread. */
static int sharpen_all(Job *j) {
  const long hands = j->scene->hands;
  if (hands > 1 && j->how == SHARPEN_CUT && j->scene->device == device_cpu())
    return parallel(hands, sharpen_one, j);
  int ok = 1;
  for (long k = 0; ok && k < hands; k++) ok = sharpen_one(j, k);
  return ok;
}

int sharpen_maps(const Scene *s, Sharpen how, const uint8_t *image, const float *map, float *out) {
  Device *device = s->device;
  const long pixels = s->height * s->width;
  const int channels = s->hands + 1;
  float *prior = device->take(device, (size_t)(pixels * channels) * sizeof *prior);
  Job job = {s, how, image, prior, out};
  const int ok = prior && prior_maps(s, map, prior) &&
                 device->fill(device, out, NULL, sizeof *out, pixels * channels) && sharpen_all(&job) &&
                 motion_kernels(device)->sharpen->share(device, pixels, s->hands, out);
  if (prior) device->give(device, prior, (size_t)(pixels * channels) * sizeof *prior);
  return ok;
}
