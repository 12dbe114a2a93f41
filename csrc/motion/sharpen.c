/* The cut of sharpen.h: two rounds of learning colours, scoring pixels and smoothing along edges, hand by
 * hand. Hands do not know of each other until what they claim is shared out. */
#include "motion/sharpen.h"

#include "core/memory.h"
#include "core/pool.h"
#include "motion/mixture.h"
#include "motion/smooth.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 2, ROWS = 16, COMPONENTS = 5 };

/* Chosen on the annotated real clips (57 to 68 % IoU) and the generated world, where objects gain most. */
static const float surely_in = 0.4f, surely_out = 0.1f; /* responsibility to learn colours from */
static const float limit = 3;                           /* of what a colour says, in log odds */
static const float weight = 2, middle = 0.6f;           /* of what the map says; where it says nothing */
static const float smoothness = 100;

typedef struct Cut {
  long h, w;
  float *colours; /* h x w x 3 */
  float *map, *q, *trust, *p, *weights, *work;
  Mixture in, out;
} Cut;

static float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

static float odds_of(float r) { return logf((r + 0.01f) / (1.01f - r)); }

static int score_chunk(void *arg, long chunk) {
  Cut *c = arg;
  const long last = (chunk + 1) * ROWS < c->h ? (chunk + 1) * ROWS : c->h;
  for (long i = chunk * ROWS * c->w; i < last * c->w; i++) {
    const float *colour = c->colours + 3 * i;
    const float says = clamp(mixture_log(&c->in, colour) - mixture_log(&c->out, colour), -limit, limit);
    c->q[i] = 1 / (1 + expf(-says - weight * (odds_of(c->map[i]) - odds_of(middle))));
    c->trust[i] = 0.05f + fabsf(2 * c->q[i] - 1);
  }
  return 1;
}

/* Learns both mixtures from soft masks: at first the map where it is sure, then the result so far. */
static int learn(Cut *c, const float *soft, float above, float below) {
  const long n = c->h * c->w;
  for (long i = 0; i < n; i++) c->weights[i] = soft[i] > above ? soft[i] : 0;
  if (!mixture_fit(&c->in, c->colours, c->weights, n, COMPONENTS)) return 0;
  for (long i = 0; i < n; i++) c->weights[i] = soft[i] < below ? 1 - soft[i] : 0;
  return mixture_fit(&c->out, c->colours, c->weights, n, COMPONENTS);
}

static int cut(Cut *c) {
  memcpy(c->p, c->map, (size_t)(c->h * c->w) * sizeof *c->p);
  for (int round = 0; round < ROUNDS; round++) {
    if (!(round ? learn(c, c->p, 0.5f, 0.5f) : learn(c, c->p, surely_in, surely_out))) return 1;
    if (!parallel((c->h + ROWS - 1) / ROWS, score_chunk, c)) return 0;
    if (!smooth_mask(c->colours, c->h, c->w, c->q, c->trust, smoothness, c->p, c->work)) return 0;
  }
  return 1;
}

/* The background takes what the hands leave; what is given twice is shared. */
static void share(float *pixel, int hands) {
  float sum = 0;
  for (int k = 0; k < hands; k++) sum += pixel[k];
  for (int k = 0; k < hands && sum > 1; k++) pixel[k] /= sum;
  pixel[hands] = sum < 1 ? 1 - sum : 0;
}

int sharpen_maps(const uint8_t *image, long h, long w, long content_h, long content_w, int hands,
                 const float *map, float *out) {
  const long n = content_h * content_w, channels = hands + 1;
  const size_t bytes = 11 * (size_t)n * sizeof(float);
  float *block = memory_take(bytes);
  if (!block) return 0;
  Cut c = {.h = content_h, .w = content_w, .colours = block};
  float **planes[] = {&c.map, &c.q, &c.trust, &c.p, &c.weights, &c.work};
  for (int i = 0; i < 6; i++) *planes[i] = block + (3 + i) * n;
  memset(out, 0, (size_t)(h * w * channels) * sizeof *out);
  for (long i = 0; i < 3 * n; i++) {
    const long y = i / (3 * content_w);
    c.colours[i] = image[3 * y * w + i - 3 * y * content_w];
  }
  int ok = 1;
  for (int k = 0; ok && k < hands; k++) {
    for (long y = 0; y < content_h; y++)
      for (long x = 0; x < content_w; x++) c.map[y * content_w + x] = map[(y * w + x) * channels + k];
    ok = cut(&c);
    for (long y = 0; y < content_h; y++)
      for (long x = 0; x < content_w; x++)
        out[(y * w + x) * channels + k] = clamp(c.p[y * content_w + x], 0, 1);
  }
  for (long i = 0; i < h * w; i++) share(out + i * channels, hands);
  memory_give(block, bytes);
  return ok;
}
