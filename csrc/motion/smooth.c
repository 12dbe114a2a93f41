/* Edge-aware smoothing of the masks: a sparse linear system on the pixel grid, solved by red-black
 * over-relaxation. */
#include "motion/smooth.h"

#include "core/pool.h"

#include <math.h>

enum { ROWS = 32 };

typedef struct Job {
  const float *colours, *q, *trust;
  long h, w;
  float *p, *right, *down, *inverse, smooth;
  int colour;
} Job;

static float difference(const float *a, const float *b) {
  float x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
  return x * x + y * y + z * z;
}

/* Squared differences to the right and down, 0 at the border. */
static int edges_chunk(void *arg, long chunk) {
  const Job *j = arg;
  const long last = (chunk + 1) * ROWS < j->h ? (chunk + 1) * ROWS : j->h;
  for (long y = chunk * ROWS; y < last; y++)
    for (long x = 0; x < j->w; x++) {
      const long i = y * j->w + x;
      const float *c = j->colours + 3 * i;
      j->right[i] = x + 1 < j->w ? difference(c, c + 3) : 0;
      j->down[i] = y + 1 < j->h ? difference(c, c + 3 * j->w) : 0;
    }
  return 1;
}

static void weigh(Job *j) {
  double sum = 0;
  long n = j->h * j->w;
  for (long i = 0; i < n; i++) sum += j->right[i] + j->down[i];
  const float k = (float)(-0.5 / (sum / (2.0 * (double)n) + 1));
  for (long y = 0; y < j->h; y++)
    for (long x = 0; x < j->w; x++) {
      const long i = y * j->w + x;
      j->right[i] = x + 1 < j->w ? j->smooth * expf(k * j->right[i]) : 0;
      j->down[i] = y + 1 < j->h ? j->smooth * expf(k * j->down[i]) : 0;
      float edges = j->right[i] + j->down[i];
      if (x) edges += j->right[i - 1];
      if (y) edges += j->down[i - j->w];
      j->inverse[i] = 1 / (j->trust[i] + edges);
    }
}

static int sweep_chunk(void *arg, long chunk) {
  const Job *j = arg;
  const long w = j->w, last = (chunk + 1) * ROWS < j->h ? (chunk + 1) * ROWS : j->h;
  for (long y = chunk * ROWS; y < last; y++)
    for (long x = (y + j->colour) & 1; x < w; x += 2) {
      const long i = y * w + x;
      float s = j->trust[i] * j->q[i];
      if (x + 1 < w) s += j->right[i] * j->p[i + 1];
      if (x) s += j->right[i - 1] * j->p[i - 1];
      if (y + 1 < j->h) s += j->down[i] * j->p[i + w];
      if (y) s += j->down[i - w] * j->p[i - w];
      j->p[i] += smooth_omega * (s * j->inverse[i] - j->p[i]);
    }
  return 1;
}

int smooth_mask(const float *colours, long h, long w, const float *q, const float *trust, float smooth,
                float *p, float *work) {
  Job j = {colours, q, trust, h, w, p, work, work + h * w, work + 2 * h * w, smooth, 0};
  const long chunks = (h + ROWS - 1) / ROWS;
  if (!parallel(chunks, edges_chunk, &j)) return 0;
  weigh(&j);
  for (long i = 0; i < h * w; i++) p[i] = q[i];
  for (int s = 0; s < 2 * SMOOTH_SWEEPS; s++) {
    j.colour = s & 1;
    if (!parallel(chunks, sweep_chunk, &j)) return 0;
  }
  return 1;
}
