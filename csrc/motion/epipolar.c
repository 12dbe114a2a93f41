/* Fundamental matrices of the background's vectors, their choice, and maps with them. */
#include "motion/epipolar.h"

#include "backend/lapack.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/pool.h"
#include "core/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 8, SAMPLES_MAX = 400, REFITS = 4, SEED = 0, LEAST = 24 };

const char *const ground_name[GROUNDS] = {"static", "homography", "epipolar"};

double epipolar_error2(const double f[9], const double *p, const double *q) {
  const double a[3] = {f[0] * p[0] + f[1] * p[1] + f[2], f[3] * p[0] + f[4] * p[1] + f[5],
                       f[6] * p[0] + f[7] * p[1] + f[8]};
  const double b[2] = {f[0] * q[0] + f[3] * q[1] + f[6], f[1] * q[0] + f[4] * q[1] + f[7]};
  const double off = q[0] * a[0] + q[1] * a[1] + a[2],
               slope = a[0] * a[0] + a[1] * a[1] + b[0] * b[0] + b[1] * b[1];
  if (!(slope > 0)) /* no line: what does not stay is off by its way */
    return (q[0] - p[0]) * (q[0] - p[0]) + (q[1] - p[1]) * (q[1] - p[1]);
  return off * off / slope;
}

/* Mean, and the scale that makes the mean distance to it √2 (Hartley 1997). */
static int normal(long n, const double *xy, const double *weight, double c[3]) {
  double sum[3] = {0}, far = 0;
  for (long i = 0; i < n; i++) {
    const double w = weight ? weight[i] : 1;
    sum[0] += w * xy[2 * i], sum[1] += w * xy[2 * i + 1], sum[2] += w;
  }
  c[0] = sum[0] / sum[2], c[1] = sum[1] / sum[2];
  for (long i = 0; i < n; i++)
    far += (weight ? weight[i] : 1) * hypot(xy[2 * i] - c[0], xy[2 * i + 1] - c[1]);
  c[2] = M_SQRT2 * sum[2] / far;
  return isfinite(c[2]) && c[2] > 0;
}

/* F - F v vᵀ, v the right singular vector of its least singular value. */
static int make_rank_two(double f[9]) {
  double a[9], s[3], vt[9];
  memcpy(a, f, sizeof a);
  if (!lapack_svd(3, 3, a, s, vt)) return 0;
  const double *v = vt + 6;
  for (int i = 0; i < 3; i++) {
    const double along = f[3 * i] * v[0] + f[3 * i + 1] * v[1] + f[3 * i + 2] * v[2];
    for (int j = 0; j < 3; j++) f[3 * i + j] -= along * v[j];
  }
  return 1;
}

static int length_one(double f[9]) {
  double sum = 0;
  for (int i = 0; i < 9; i++) sum += f[i] * f[i];
  if (!(sum > 0) || !isfinite(sum)) return 0;
  for (int i = 0; i < 9; i++) f[i] /= sqrt(sum);
  return 1;
}

/* The fit into room for (n + 1) × 9 numbers. */
static int fit(long n, const double *p, const double *q, const double *weight, double *room, double f[9]) {
  double c[3], d[3], s[9], vt[81];
  const long rows = n < 9 ? 9 : n;
  if (n < SAMPLE) return fail("epipolar: expected at least 8 points, found %ld", n);
  if (!normal(n, p, weight, c) || !normal(n, q, weight, d))
    return fail("epipolar: expected finite points that differ, found others");
  memset(room, 0, (size_t)rows * 9 * sizeof *room);
  for (long i = 0; i < n; i++) {
    const double x = (p[2 * i] - c[0]) * c[2], y = (p[2 * i + 1] - c[1]) * c[2],
                 w = weight ? sqrt(weight[i]) : 1, u = (q[2 * i] - d[0]) * d[2],
                 v = (q[2 * i + 1] - d[1]) * d[2];
    const double row[9] = {u * x, u * y, u, v * x, v * y, v, x, y, 1};
    for (int j = 0; j < 9; j++) room[9 * i + j] = w * row[j];
  }
  if (!lapack_svd((int)rows, 9, room, s, vt)) return 0;
  double g[9];
  memcpy(g, vt + 72, sizeof g);
  if (!make_rank_two(g)) return 0;
  /* F = Dᵀ G C, C and D the normalisations of source and target */
  const double left[9] = {d[2], 0, 0, 0, d[2], 0, -d[2] * d[0], -d[2] * d[1], 1},
               right[9] = {c[2], 0, -c[2] * c[0], 0, c[2], -c[2] * c[1], 0, 0, 1};
  double half[9];
  for (int i = 0; i < 9; i++)
    half[i] =
        left[i / 3 * 3] * g[i % 3] + left[i / 3 * 3 + 1] * g[3 + i % 3] + left[i / 3 * 3 + 2] * g[6 + i % 3];
  for (int i = 0; i < 9; i++)
    f[i] = half[i / 3 * 3] * right[i % 3] + half[i / 3 * 3 + 1] * right[3 + i % 3] +
           half[i / 3 * 3 + 2] * right[6 + i % 3];
  return length_one(f) || fail("epipolar: expected points that determine the matrix, found degenerate ones");
}

static double *take_room(long n) {
  double *room = malloc((size_t)(n + 9) * 9 * sizeof *room);
  if (!room) fail_memory("epipolar: out of memory for %ld points", n);
  return room;
}

int epipolar_fit(long n, const double *p, const double *q, const double *weight, double f[9]) {
  double *room = take_room(n);
  const int ok = room && fit(n, p, q, weight, room, f);
  free(room);
  return ok;
}

/* The truncated squared errors. */
static double cost(const double f[9], long n, const double *p, const double *q, double limit2, long *inside) {
  double sum = 0;
  *inside = 0;
  for (long i = 0; i < n; i++) {
    const double e = epipolar_error2(f, p + 2 * i, q + 2 * i);
    sum += e < limit2 ? e : limit2;
    *inside += e < limit2;
  }
  return sum;
}

static int draw(Random *r, long n, const double *p, const double *q, double *room, double f[9]) {
  double from[2 * SAMPLE], to[2 * SAMPLE];
  for (int i = 0; i < SAMPLE; i++) {
    const long at = random_below(r, n);
    memcpy(from + 2 * i, p + 2 * at, 2 * sizeof *from);
    memcpy(to + 2 * i, q + 2 * at, 2 * sizeof *to);
  }
  return fit(SAMPLE, from, to, NULL, room, f);
}

int epipolar_fit_robust(long n, const double *p, const double *q, double threshold, uint64_t seed,
                        double f[9], double *inliers) {
  double *room = take_room(n), *weight = room ? malloc((size_t)(n + 1) * sizeof *weight) : NULL;
  if (room && !weight) fail_memory("epipolar: out of memory for %ld points", n);
  const double limit2 = threshold * threshold;
  double best = INFINITY, now[9];
  long inside = 0, wanted = SAMPLES_MAX;
  Random r;
  random_start(&r, seed, 0);
  if (weight && n < SAMPLE) fail("epipolar: expected at least 8 points, found %ld", n);
  for (long k = 0; weight && n >= SAMPLE && k < wanted; k++) {
    if (!draw(&r, n, p, q, room, now)) continue;
    const double c = cost(now, n, p, q, limit2, &inside);
    if (!(c < best)) continue;
    best = c;
    memcpy(f, now, sizeof now);
    const double good =
        pow((double)inside / (double)n, SAMPLE); /* until one without outliers was drawn: 0.999 */
    const double needed = good < 1 ? log(1e-3) / log1p(-good) : 0;
    if (needed < (double)wanted) wanted = (long)fmax(SAMPLES_MAX / 8, ceil(needed));
  }
  for (int k = 0; k < REFITS && best < INFINITY; k++) {
    for (long i = 0; i < n; i++) {
      const double w = limit2 / (limit2 + epipolar_error2(f, p + 2 * i, q + 2 * i));
      weight[i] = w * w;
    }
    if (!fit(n, p, q, weight, room, now)) break;
    const double c = cost(now, n, p, q, limit2, &inside);
    if (!(c < best)) break;
    best = c;
    memcpy(f, now, sizeof now);
  }
  if (best < INFINITY) {
    cost(f, n, p, q, limit2, &inside);
    *inliers = (double)inside / (double)n;
  }
  free(room), free(weight);
  return best < INFINITY;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

typedef struct Job {
  double threshold;
  HandFit *out;
  double (*cost)[GROUNDS]; /* per gap */
} Job;

static int fit_gap(void *arg, long gap, long n, const double *p, const double *q) {
  HandFit *out = ((const Job *)arg)->out + gap;
  *out = (HandFit){.model = MODEL_HOMOGRAPHY};
  if (n < LEAST ||
      !epipolar_fit_robust(n, p, q, ((const Job *)arg)->threshold, SEED, out->m, &out->inliers)) {
    if (failed_for_memory()) return 0;
    memset(out->m, 0, sizeof out->m);
    return 1;
  }
  double *error = malloc((size_t)n * sizeof *error);
  if (!error) return fail_memory("epipolar: out of memory for %ld points", n);
  for (long i = 0; i < n; i++) error[i] = sqrt(epipolar_error2(out->m, p + 2 * i, q + 2 * i));
  qsort(error, (size_t)n, sizeof *error, by_size);
  out->error = error[n / 2];
  free(error);
  return 1;
}

int epipolar_background(const Scene *scene, double threshold, HandFit *out) {
  Job job = {.threshold = threshold, .out = out};
  return responsibility_ground(scene, fit_gap, &job);
}

/* A model of dimension d that left these errors, in a space of r = 4 numbers a pair (Torr 1998, equation 20), but
 * that an outlier costs the same under every model: its cheaper outliers would make F the choice wherever nothing fits. */
typedef struct Criterion {
  double sum, deviation2;
  int d;
} Criterion;

static void weigh(Criterion *c, double error2) {
  const double dimension = log(4), outlier = 2 * (4 - 2) + 2 * dimension;
  c->sum += fmin(error2 / c->deviation2 + dimension * c->d, outlier);
}

static int weigh_gap(void *arg, long gap, long n, const double *p, const double *q) {
  const Job *job = arg;
  static const double still[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  double h[9], f[9], inliers;
  const int flat =
      n >= LEAST && homography_fit_robust(MODEL_HOMOGRAPHY, n, p, q, job->threshold, SEED, h, &inliers);
  if (!flat && failed_for_memory()) return 0;
  const int deep = n >= LEAST && epipolar_fit_robust(n, p, q, job->threshold, SEED, f, &inliers);
  if (!deep && failed_for_memory()) return 0;
  const double deviation2 = job->threshold * job->threshold / 4; /* beyond two of them is an outlier */
  Criterion c[GROUNDS] = {{0, deviation2, 2},
                          {8 * log(4.0 * (double)n + 1), deviation2, 2},
                          {7 * log(4.0 * (double)n + 1), deviation2, 3}};
  for (long i = 0; i < n; i++) {
    weigh(c + GROUND_STATIC, homography_error2(still, p + 2 * i, q + 2 * i));
    weigh(c + GROUND_HOMOGRAPHY, flat ? homography_error2(h, p + 2 * i, q + 2 * i) : INFINITY);
    weigh(c + GROUND_EPIPOLAR, deep ? epipolar_error2(f, p + 2 * i, q + 2 * i) : INFINITY);
  }
  for (int g = 0; g < GROUNDS; g++) job->cost[gap][g] = c[g].sum;
  return 1;
}

int epipolar_choose(const Scene *scene, double threshold, double cost_of[GROUNDS]) {
  Job job = {.threshold = threshold, .cost = calloc((size_t)scene->gaps + 1, sizeof *job.cost)};
  if (!job.cost) return fail("epipolar: out of memory for %d gaps", scene->gaps);
  const int ok = responsibility_ground(scene, weigh_gap, &job);
  for (int g = 0; g < GROUNDS; g++) {
    cost_of[g] = 0;
    for (int gap = 0; gap < scene->gaps; gap++) cost_of[g] += job.cost[gap][g];
  }
  free(job.cost);
  return ok;
}

typedef struct Rows {
  const Scene *scene;
  const double *f;
  float *residuals, *out, share;
  double temperature;
  long gap;
} Rows;

/* The background's distances of a row of one gap; then its softmax into the sum over gaps. */
static int map_row(void *arg, long y) {
  const Rows *r = arg;
  const Scene *s = r->scene;
  const int channels = s->hands + 1;
  for (long x = 0; x < s->width; x++) {
    float *d = r->residuals + (y * s->width + x) * channels, *to = r->out + (y * s->width + x) * channels;
    if (y < s->content_height && x < s->content_width) {
      const float *flow = s->flow[r->gap] + 2 * (y * s->width + x);
      const double p[2] = {(double)x, (double)y}, q[2] = {p[0] + flow[0], p[1] + flow[1]};
      const double e = epipolar_error2(r->f + 9 * r->gap, p, q);
      d[s->hands] = e < INFINITY ? (float)sqrt(e) : INFINITY; /* not a number: lost */
    }
    if (!(r->temperature > 0)) continue;
    float least = INFINITY, sum = 0;
    for (int k = 0; k < channels; k++) least = fminf(least, d[k]);
    for (int k = 0; k < channels && least < INFINITY; k++)
      sum += d[k] = expf((least - d[k]) / (float)r->temperature);
    for (int k = 0; k < channels; k++)
      to[k] += r->share * (least < INFINITY ? d[k] / sum : (float)(k == s->hands));
  }
  return 1;
}

int epipolar_map(const Scene *s, const Planes *planes, const double *f, double temperature, float *out) {
  const long plane = s->height * s->width * (s->hands + 1);
  const size_t bytes = (size_t)plane * sizeof *out;
  const bool map = temperature > 0;
  float *room = map ? memory_take(bytes) : NULL;
  if (map && !room) return 0;
  if (map) memset(out, 0, bytes);
  Scene one = *s;
  Planes part = *planes;
  one.gaps = part.gaps = 1;
  part.background = NULL;
  int ok = 1;
  for (int g = 0; ok && g < s->gaps; g++) {
    one.flow = s->flow + g;
    part.motion = planes->motion + 9L * g * planes->hands;
    Rows rows = {s, f, map ? room : out + g * plane, out, 1.0f / (float)s->gaps, temperature, g};
    ok = responsibility_residuals(&one, &part, rows.residuals) && parallel(s->height, map_row, &rows);
  }
  if (map) memory_give(room, bytes);
  return ok;
}
