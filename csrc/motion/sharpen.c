/* The cut of sharpen.h: two rounds of learning colours, scoring pixels and smoothing along edges, hand by
 * hand. Hands do not know of each other until what they claim is shared out. Learning reads a few thousand
 * pixels, on the host: a device's planes are copied there. */
#include "motion/sharpen.h"

#include "motion/kernels.h"

enum { ROUNDS = 2, COMPONENTS = 5 };

static const float surely_in = 0.4f, surely_out = 0.1f; /* responsibility to learn colours from */
static const float smoothness = 100;

typedef struct Cut {
  Device *device;
  const SharpenKernels *step;
  long h, w;
  float *block, *colours /* h x w x 3 */, *map, *q, *trust, *p, *work; /* the device's */
  float *host, *seen, *seen_colours, *weights; /* the host's: what is seen of a plane and of the colours */
  size_t bytes, host_bytes;
  Mixture in, out;
} Cut;

/* A plane of the device as the host sees it; NULL with a message. */
static const float *see(const Cut *c, const float *plane, float *seen, long floats) {
  if (c->device == device_cpu()) return plane;
  return device_copy(device_cpu(), seen, c->device, plane, (size_t)floats * sizeof *seen) ? seen : NULL;
}

/* Learns both mixtures from soft masks: at first the map where it is sure, then the result so far. *found: both
 * could be learned. */
static int learn(Cut *c, const float *plane, float above, float below, int *found) {
  const long n = c->h * c->w;
  const float *soft = see(c, plane, c->seen, n), *colours = c->seen_colours;
  if (!soft) return 0;
  for (long i = 0; i < n; i++) c->weights[i] = soft[i] > above ? soft[i] : 0;
  *found = mixture_fit(&c->in, colours, c->weights, n, COMPONENTS);
  if (!*found) return 1;
  for (long i = 0; i < n; i++) c->weights[i] = soft[i] < below ? 1 - soft[i] : 0;
  *found = mixture_fit(&c->out, colours, c->weights, n, COMPONENTS);
  return 1;
}

static int cut(Cut *c) {
  const long n = c->h * c->w;
  if (!c->device->copy(c->device, c->p, c->map, (size_t)n * sizeof *c->p)) return 0;
  for (int round = 0; round < ROUNDS; round++) {
    int found;
    if (!(round ? learn(c, c->p, 0.5f, 0.5f, &found) : learn(c, c->p, surely_in, surely_out, &found)))
      return 0;
    if (!found) return 1;
    if (!c->step->score(c->device, n, &c->in, &c->out, c->colours, c->map, c->q, c->trust) ||
        !c->step->smooth(c->device, c->colours, c->h, c->w, c->q, c->trust, smoothness, c->p, c->work))
      return 0;
  }
  return 1;
}

static int open_cut(Cut *c) {
  const long n = c->h * c->w;
  float **planes[] = {&c->map, &c->q, &c->trust, &c->p, &c->work};
  c->bytes = (size_t)(7 * n + c->step->work(c->h, c->w)) * sizeof(float);
  c->host_bytes = (size_t)(c->device == device_cpu() ? n : 5 * n) * sizeof(float);
  c->block = c->device->take(c->device, c->bytes);
  c->host = c->block ? memory_take(c->host_bytes) : NULL;
  if (!c->host) return 0;
  c->colours = c->block;
  for (int i = 0; i < 5; i++) *planes[i] = c->block + (3 + i) * n;
  c->weights = c->host, c->seen = c->host + n, c->seen_colours = c->host + 2 * n;
  return 1;
}

int sharpen_maps(Device *device, const uint8_t *image, long h, long w, long content_h, long content_w,
                 int hands, const float *map, float *out) {
  const Content content = {content_h, content_w, w};
  const int channels = hands + 1;
  Cut c = {.device = device, .step = motion_kernels(device)->sharpen, .h = content_h, .w = content_w};
  int ok = open_cut(&c) && device->fill(device, out, NULL, sizeof *out, h * w * channels) &&
           c.step->colours(device, &content, image, c.colours);
  c.seen_colours = ok ? (float *)see(&c, c.colours, c.seen_colours, 3 * content_h * content_w) : NULL;
  ok = ok && c.seen_colours;
  for (int k = 0; ok && k < hands; k++)
    ok = c.step->take(device, &content, map, channels, k, c.map) && cut(&c) &&
         c.step->put(device, &content, c.p, channels, k, out);
  ok = ok && c.step->share(device, h * w, hands, out);
  memory_give(c.host, c.host_bytes);
  device->give(device, c.block, c.bytes);
  return ok;
}
