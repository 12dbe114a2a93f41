/* The maps that the evaluator thresholds: network outputs brought to the image's own resolution, inner
 * products and cosines with a vector, discs, and means of embeddings drawn from labelled pixels. */
#include "data/metrics.h"

#include "core/error.h"
#include "core/pool.h"
#include "core/random.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 16, PIXELS = 4096 };

typedef struct Resize {
  const float *src;
  long stride, columns, rows; /* the part of src that the image covers */
  double scale;
  float *dst;
  long height, width;
} Resize;

/* Where an output coordinate falls: the sample before it and the weight of the one after. */
static long place(double at, long n, float *weight) {
  at = at < 0 ? 0 : at > (double)(n - 1) ? (double)(n - 1) : at;
  long i = (long)at < n - 2 ? (long)at : n - 2;
  if (i < 0) i = 0;
  *weight = (float)(at - (double)i);
  return i;
}

static int resize_rows(void *arg, long chunk) {
  Resize *r = arg;
  long end = (chunk + 1) * ROWS < r->height ? (chunk + 1) * ROWS : r->height;
  long right = r->columns > 1, down = r->rows > 1 ? r->stride : 0;
  for (long y = chunk * ROWS; y < end; y++) {
    float wy, wx;
    const float *row = r->src + place(((double)y + 0.5) * r->scale - 0.5, r->rows, &wy) * r->stride;
    for (long x = 0; x < r->width; x++) {
      const float *p = row + place(((double)x + 0.5) * r->scale - 0.5, r->columns, &wx);
      float top = p[0] + wx * (p[right] - p[0]), bottom = p[down] + wx * (p[down + right] - p[down]);
      r->dst[y * r->width + x] = top + wy * (bottom - top);
    }
  }
  return 1;
}

int metrics_resize(const float *src, long stride, long columns, long rows, double scale, float *dst,
                   long height, long width) {
  Resize r = {src, stride, columns, rows, scale, dst, height, width};
  return parallel((height + ROWS - 1) / ROWS, resize_rows, &r);
}

typedef struct Project {
  const float *map, *vector;
  long n, channels;
  int cosine;
  float length, *out;
} Project;

static int project_pixels(void *arg, long chunk) {
  Project *job = arg;
  long end = (chunk + 1) * PIXELS < job->n ? (chunk + 1) * PIXELS : job->n;
  for (long i = chunk * PIXELS; i < end; i++) {
    const float *z = job->map + i * job->channels;
    float dot = 0, square = 0;
    for (long c = 0; c < job->channels; c++) dot += z[c] * job->vector[c], square += z[c] * z[c];
    if (job->cosine) dot = square > 0 && job->length > 0 ? dot / (sqrtf(square) * job->length) : 0;
    job->out[i] = dot;
  }
  return 1;
}

int metrics_project(const float *map, long n, long channels, const float *vector, int cosine, float *out) {
  double square = 0;
  for (long c = 0; c < channels; c++) square += (double)vector[c] * vector[c];
  Project job = {map, vector, n, channels, cosine, (float)sqrt(square), out};
  return parallel((n + PIXELS - 1) / PIXELS, project_pixels, &job);
}

void metrics_disc(double x, double y, long height, long width, float *out) {
  for (long i = 0; i < height; i++)
    for (long j = 0; j < width; j++)
      out[i * width + j] =
          (float)(-sqrt(((double)j - x) * ((double)j - x) + ((double)i - y) * ((double)i - y)) /
                  (double)width);
}

long metrics_sample(const float *map, const int32_t *label, long n, long channels, int which, long count,
                    uint64_t seed, uint64_t stream, int normalise, double *sum) {
  long found = 0;
  for (long i = 0; i < n; i++) found += label[i] == which;
  if (!found || count <= 0) return 0;
  long *at = malloc((size_t)found * sizeof *at);
  if (!at) {
    fail("embeddings: expected memory for %ld pixels, found none", found);
    return -1;
  }
  for (long i = 0, k = 0; i < n; i++)
    if (label[i] == which) at[k++] = i;
  Random random;
  random_start(&random, seed, stream);
  if (count > found) count = found;
  for (long k = 0; k < count; k++) { /* the first steps of a Fisher-Yates shuffle */
    long other = k + random_below(&random, found - k), pixel = at[other];
    at[other] = at[k];
    const float *z = map + pixel * channels;
    double square = 0;
    for (long c = 0; c < channels; c++) square += (double)z[c] * z[c];
    double by = normalise ? (square > 0 ? 1 / sqrt(square) : 0) : 1;
    for (long c = 0; c < channels; c++) sum[c] += z[c] * by;
  }
  free(at);
  return count;
}
