/* Responsibility maps over whole images: prepares the motions for the row kernels and cuts the rows into
 * chunks. */
#include "motion/responsibility.h"

#include "core/error.h"
#include "core/pool.h"
#include "motion/isa_responsibility.h"
#include "motion/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* See the drawing in isa_responsibility.h. */
static Plane plane_of(const double m[9], const double c[2]) {
  double w = m[6] * c[0] + m[7] * c[1] + m[8];
  Plane p = {.cx = c[0], .cy = c[1]};
  if (!(fabs(w) > 1e-12)) { /* the centre is on the horizon: no pixel is on its side */
    p.hidden = true;
    return p;
  }
  double gx = m[6] / w, gy = m[7] / w;
  p.axx = m[0] / w - c[0] * gx - 1, p.axy = m[1] / w - c[0] * gy;
  p.ayx = m[3] / w - c[1] * gx, p.ayy = m[4] / w - c[1] * gy - 1;
  p.bx = (m[0] * c[0] + m[1] * c[1] + m[2]) / w - c[0];
  p.by = (m[3] * c[0] + m[4] * c[1] + m[5]) / w - c[1];
  p.gx = gx, p.gy = gy;
  return p;
}

/* The plane within row y, in lengths that are `scale` times pixels. */
static RowPlane row_plane(const Plane *p, long y, double scale) {
  double eta = (double)y - p->cy, x0 = p->bx + p->axy * eta, y0 = p->by + p->ayy * eta;
  return (RowPlane){.cx = (float)(p->cx * scale),
                    .xx = (float)p->axx,
                    .x0 = (float)(x0 * scale),
                    .yx = (float)p->ayx,
                    .eta = (float)(eta * scale),
                    .y0 = (float)(y0 * scale),
                    .gx = (float)(p->gx / scale),
                    .s0 = p->hidden ? -2 : (float)(p->gy * eta)}; /* w = 1 + s: negative */
}

typedef struct Job {
  const Scene *scene;
  int planes; /* a gap's */
  Plane *plane;
  long rows;    /* a chunk's */
  double scale; /* see RowJob */
  bool residuals, still;
  float *out;
} Job;

static void pad(const Scene *s, float hand, float background, float *pixel, long count) {
  for (long i = 0; i < count; i++, pixel += s->hands + 1) {
    for (int k = 0; k < s->hands; k++) pixel[k] = hand;
    pixel[s->hands] = background;
  }
}

static void fill_row(const Job *job, RowJob *row, const float **flow, RowPlane *plane, long y) {
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

static int chunk(void *arg, long index) {
  const Job *job = arg;
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
  long last = (index + 1) * job->rows;
  for (long y = index * job->rows; y < last && y < s->height; y++) fill_row(job, &row, flow, plane, y);
  return 1;
}

static int fill(const Scene *scene, const Planes *planes, double scale, bool residuals, float *out) {
  if (planes->hands > HANDS_MAX)
    return fail("responsibility: expected at most %d hands, found %d", HANDS_MAX, planes->hands);
  Job job = {.scene = scene, .scale = scale, .residuals = residuals, .out = out};
  job.still = !planes->background;
  job.planes = planes->hands + !job.still;
  job.rows = scene->width > 0 && scene->width < 16384 ? 16384 / scene->width : 1;
  job.plane = malloc((size_t)(planes->gaps * job.planes + 1) * sizeof *job.plane);
  if (!job.plane) return fail("responsibility: out of memory for %d gaps", planes->gaps);
  const double middle[2] = {(double)(scene->content_width - 1) / 2, (double)(scene->content_height - 1) / 2};
  for (int g = 0; g < planes->gaps; g++) {
    Plane *p = job.plane + g * job.planes;
    for (int k = 0; k < planes->hands; k++)
      p[k] = plane_of(planes->motion + 9 * (g * planes->hands + k), planes->centre + 2 * k);
    if (!job.still) p[planes->hands] = plane_of(planes->background + 9 * g, middle);
  }
  int ok = parallel((scene->height + job.rows - 1) / job.rows, chunk, &job);
  free(job.plane);
  return ok;
}

int responsibility_map(const Scene *scene, const Planes *planes, double temperature, float *out) {
  return fill(scene, planes, M_LOG2E / temperature, false, out);
}

int responsibility_residuals(const Scene *scene, const Planes *planes, float *out) {
  return fill(scene, planes, 1, true, out);
}

typedef struct Near {
  const Scene *scene;
  float **hull;
  long *corners;
  float *scale;
  float *map;
} Near;

static int near_row(void *arg, long y) {
  const Near *job = arg;
  const Scene *s = job->scene;
  const int channels = s->hands + 1;
  float *factor = scratch(0, (size_t)s->content_width * sizeof *factor),
        *row = job->map + y * s->width * channels;
  if (!factor) return 0;
  for (int k = 0; k < s->hands; k++) {
    ISA_PICK(closeness_row)(s->content_width, (float)y, job->corners[k], job->hull[k], job->scale[k], factor);
    for (long x = 0; x < s->content_width; x++) row[x * channels + k] *= factor[x];
  }
  for (long x = 0; x < s->content_width; x++) {
    float sum = 0, *pixel = row + x * channels;
    for (int k = 0; k < s->hands; k++) sum += pixel[k];
    pixel[s->hands] = sum < 1 ? 1 - sum : 0;
  }
  return 1;
}

int responsibility_closeness(const Scene *scene, double closeness, float *map) {
  float *hull[HANDS_MAX] = {0}, scale[HANDS_MAX];
  long corners[HANDS_MAX];
  int ok = scene->hands <= HANDS_MAX ||
           fail("responsibility: expected at most %d hands, found %d", HANDS_MAX, scene->hands);
  for (int k = 0; ok && k < scene->hands; k++) {
    long n = scene->vertex_count[k];
    double *corner = malloc((size_t)(n + 1) * 2 * sizeof *corner), size = points_size(n, scene->vertices[k]);
    hull[k] = malloc((size_t)(n + 1) * 2 * sizeof **hull);
    corners[k] = corner && hull[k] ? points_hull(n, scene->vertices[k], corner) : 0;
    if (!corners[k]) ok = fail("responsibility: out of memory for the hull of hand %d", k + 1);
    for (long i = 0; ok && i < 2 * corners[k]; i++) hull[k][i] = (float)corner[i];
    scale[k] = (float)(-M_LOG2E / fmax(closeness * size, 1e-3));
    free(corner);
  }
  Near job = {scene, hull, corners, scale, map};
  ok = ok && parallel(scene->content_height, near_row, &job);
  for (int k = 0; k < HANDS_MAX; k++) free(hull[k]);
  return ok;
}
