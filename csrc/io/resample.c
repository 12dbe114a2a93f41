/* Resampling of pictures and maps, separable: rows are averaged first (long loops over whole rows), then
 * columns. See image.h for the geometry. Does not know colour spaces or alpha. */
#include "io/image.h"

#include "core/error.h"
#include "core/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8, BLOCK = 16 }; /* output rows per chunk; values whose loop the compiler turns into vectors */

/* What one output pixel takes along one axis: weights[0..count) of the source pixels first .. */
typedef struct Tap {
  long first, count;
  const float *weights;
} Tap;

typedef struct Axis {
  Tap *taps;
  float *weights;
} Axis;

static void axis_free(Axis *a) {
  free(a->taps);
  free(a->weights);
}

/* The source pixels [*first, *last] that output pixel i draws on. */
static void reach(double s, long i, long n, long *first, long *last) {
  double a = s < 1 ? (double)i / s : ((double)i + 0.5) / s - 0.5, b = s < 1 ? (double)(i + 1) / s : a + 1;
  *first = (long)fmin(fmax(floor(a), 0), (double)(n - 1));
  *last = (long)fmin(fmax(s < 1 ? ceil(b) - 1 : floor(b), (double)*first), (double)(n - 1));
}

/* Taps of `out` pixels over n source pixels at scale s. */
static int axis_make(Axis *a, double s, long out, long n) {
  size_t room = 0;
  for (long i = 0; i < out; i++) {
    long first, last;
    reach(s, i, n, &first, &last);
    room += (size_t)(last - first + 1);
  }
  a->taps = malloc((size_t)out * sizeof *a->taps + 1);
  a->weights = malloc(room * sizeof *a->weights + 1);
  if (!a->taps || !a->weights) return fail("resample: expected memory for %ld pixels, found none left", out);
  float *w = a->weights;
  for (long i = 0; i < out; i++) {
    long first, last;
    reach(s, i, n, &first, &last);
    a->taps[i] = (Tap){first, last - first + 1, w};
    double begin = (double)i / s, end = (double)(i + 1) / s, centre = ((double)i + 0.5) / s - 0.5, sum = 0;
    for (long j = first; j <= last; j++) {
      double area = fmin(end, (double)(j + 1)) - fmax(begin, (double)j), near = 1 - fabs(centre - (double)j);
      sum += w[j - first] = (float)fmax(s < 1 ? area : near, 0);
    }
    for (long j = 0; j <= last - first; j++) w[j] = sum > 0 ? (float)(w[j] / sum) : j == 0;
    w += last - first + 1;
  }
  return 1;
}

typedef struct Job {
  const Tensor *from;
  const void *source;
  void *result;
  const Grid *grid;
  Axis x, y;
  long channels;
} Job;

/* row[0..n) += weight * source row */
static void add_row(const Job *j, long y, float weight, float *restrict row, long n) {
  long i = 0;
  if (j->from->dtype == U8) {
    const uint8_t *restrict s = (const uint8_t *)j->source + y * n;
    for (; i + BLOCK <= n; i += BLOCK)
      for (long k = i; k < i + BLOCK; k++) row[k] += weight * (float)s[k];
    for (; i < n; i++) row[i] += weight * (float)s[i];
  } else {
    const float *restrict s = (const float *)j->source + y * n;
    for (; i + BLOCK <= n; i += BLOCK)
      for (long k = i; k < i + BLOCK; k++) row[k] += weight * s[k];
    for (; i < n; i++) row[i] += weight * s[i];
  }
}

/* One output row from the averaged source row. */
static void squeeze_row(const Job *j, const float *row, long y) {
  const Grid *g = j->grid;
  long c = j->channels, at = y * g->full_w * c;
  for (long x = 0; x < g->content_w; x++) {
    const Tap *tap = &j->x.taps[x];
    for (long k = 0; k < c; k++) {
      const float *from = row + tap->first * c + k;
      float sum = 0;
      for (long i = 0; i < tap->count; i++) sum += tap->weights[i] * from[i * c];
      long to = at + x * c + k;
      if (j->from->dtype == U8)
        ((uint8_t *)j->result)[to] = (uint8_t)fminf(sum + 0.5f, 255);
      else
        ((float *)j->result)[to] = sum * (float)g->gain;
    }
  }
}

static int rows(void *arg, long chunk) {
  const Job *j = arg;
  long n = j->from->shape[1] * j->channels;
  float *row = scratch(0, (size_t)n * sizeof *row);
  if (!row) return 0;
  for (long y = chunk * ROWS; y < (chunk + 1) * ROWS && y < j->grid->content_h; y++) {
    const Tap *tap = &j->y.taps[y];
    memset(row, 0, (size_t)n * sizeof *row);
    for (long i = 0; i < tap->count; i++) add_row(j, tap->first + i, tap->weights[i], row, n);
    squeeze_row(j, row, y);
  }
  return 1;
}

static int check(const Tensor *t, const Grid *g) {
  if ((t->dtype != U8 && t->dtype != F32) || t->rank < 2 || t->rank > 3 || t->size == 0)
    return fail("resample: expected a uint8 or float32 picture HxW or HxWxC, found %s %s",
                dtype_name[t->dtype], tensor_text(t));
  if (!(g->sx > 0 && g->sy > 0 && g->sx < 1e6 && g->sy < 1e6))
    return fail("resample: expected scales above 0, found %g and %g", g->sx, g->sy);
  if (g->content_w < 0 || g->content_h < 0 || g->content_w > g->full_w || g->content_h > g->full_h ||
      g->full_w > IMAGE_PIXELS_MAX || g->full_h > IMAGE_PIXELS_MAX)
    return fail("resample: expected content within the result, found %ldx%ld in %ldx%ld", g->content_w,
                g->content_h, g->full_w, g->full_h);
  return 1;
}

Tensor *image_resample(const Tensor *image, const Grid *g) {
  if (!check(image, g)) return NULL;
  long channels = image->rank == 3 ? image->shape[2] : 1;
  Tensor *out = tensor_zeros(image->dtype, image->rank, (long[]){g->full_h, g->full_w, channels});
  if (!out) return NULL;
  Job j = {.from = image,
           .source = tensor_data(image),
           .result = tensor_write(out),
           .grid = g,
           .channels = channels};
  int ok = axis_make(&j.x, g->sx, g->content_w, image->shape[1]) &&
           axis_make(&j.y, g->sy, g->content_h, image->shape[0]) &&
           parallel((g->content_h + ROWS - 1) / ROWS, rows, &j);
  axis_free(&j.x);
  axis_free(&j.y);
  if (ok) return out;
  tensor_release(out);
  return NULL;
}
