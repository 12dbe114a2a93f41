/* The steps of maps on the CPU: rows for the vector kernels, in chunks for the thread pool. */
#include "core/pool.h"
#include "motion/isa_responsibility.h"
#include "motion/points.h"

#include <math.h>

static void pad(const Scene *s, float hand, float background, float *pixel, long count) {
  for (long i = 0; i < count; i++, pixel += s->hands + 1) {
    for (int k = 0; k < s->hands; k++) pixel[k] = hand;
    pixel[s->hands] = background;
  }
}

static void fill_row(const MapJob *job, RowJob *row, const float **flow, RowPlane *plane, long y) {
  const Scene *s = job->scene;
  const long step = s->width * (s->hands + 1), inside = y < s->content_height ? s->content_width : 0;
  for (int g = 0; g < s->gaps; g++) flow[g] = s->flow[g] + 2 * y * s->width;
  for (int i = 0; i < s->gaps * job->planes; i++) plane[i] = row_plane(job->plane + i, y, job->scale);
  row->width = inside;
  if (!job->residuals) {
    ISA_PICK(responsibility_row)(row, job->out + y * step);
    pad(s, 0, 1, job->out + y * step + inside * (s->hands + 1), s->width - inside);
    return;
  }
  for (int g = 0; g < s->gaps; g++) {
    float *out = job->out + (g * s->height + y) * step;
    ISA_PICK(residual_row)(row, g, out);
    pad(s, INFINITY, 0, out + inside * (s->hands + 1), s->width - inside);
  }
}

/* Of a chunk. */
static long rows_of(const Scene *s) { return s->width > 0 && s->width < 16384 ? 16384 / s->width : 1; }

static int chunk(void *arg, long index) {
  const MapJob *job = arg;
  const Scene *s = job->scene;
  size_t planes = (size_t)(s->gaps * job->planes) * sizeof(RowPlane);
  RowPlane *plane = scratch(0, planes + (size_t)s->gaps * sizeof(float *) + 64);
  if (!plane) return 0;
  const float **flow = (const float **)((char *)plane + (planes + 63) / 64 * 64);
  RowJob row = {.gaps = s->gaps,
                .hands = s->hands,
                .still = job->still,
                .flow = flow,
                .plane = plane,
                .scale = (float)job->scale};
  const long rows = rows_of(s), last = (index + 1) * rows;
  for (long y = index * rows; y < last && y < s->height; y++) fill_row(job, &row, flow, plane, y);
  return 1;
}

static int fill(const MapJob *job) {
  const long rows = rows_of(job->scene);
  return parallel((job->scene->height + rows - 1) / rows, chunk, (void *)job);
}

typedef struct Near {
  const Scene *scene;
  const Hulls *hulls;
  float *map;
} Near;

static int near_row(void *arg, long y) {
  const Near *job = arg;
  const Scene *s = job->scene;
  const Hulls *h = job->hulls;
  const int channels = s->hands + 1;
  float *factor = scratch(0, (size_t)s->content_width * sizeof *factor),
        *row = job->map + y * s->width * channels;
  if (!factor) return 0;
  for (int k = 0; k < s->hands; k++) {
    const long first = h->first[k];
    ISA_PICK(closeness_row)
    (s->content_width, (float)y, h->first[k + 1] - first, h->corner + 2 * first, h->scale[k], factor);
    for (long x = 0; x < s->content_width; x++) row[x * channels + k] *= factor[x];
  }
  for (long x = 0; x < s->content_width; x++) {
    float sum = 0, *pixel = row + x * channels;
    for (int k = 0; k < s->hands; k++) sum += pixel[k];
    pixel[s->hands] = sum < 1 ? 1 - sum : 0;
  }
  return 1;
}

static int closeness(const Scene *scene, const Hulls *hulls, float *map) {
  Near job = {scene, hulls, map};
  return parallel(scene->content_height, near_row, &job);
}

typedef struct Samples {
  const Scene *scene;
  long n;
  const double *xy;
  double *uv;
} Samples;

static int sample_gap(void *arg, long gap) {
  const Samples *j = arg;
  const Scene *s = j->scene;
  points_sample(s->flow[gap], s->content_width, s->content_height, s->width, j->n, j->xy,
                j->uv + 2 * j->n * gap);
  return 1;
}

static int sample(const Scene *scene, long n, const double *xy, double *uv) {
  Samples job = {scene, n, xy, uv};
  return parallel(scene->gaps, sample_gap, &job);
}

const MapKernels maps_cpu = {.sample = sample, .fill = fill, .closeness = closeness};
