/* The fits behind a responsibility map: every hand's motion and the background's, for every gap. Points of
 * the hands are made once, then each (gap, hand) is one task of the pool. */
#include "motion/responsibility.h"

#include "core/error.h"
#include "core/pool.h"
#include "motion/kernels.h"
#include "motion/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  GRID_POINTS = 2400,
  GRID_LEAST = 24,
  SEED = 0, /* of robust fits: one for all, so that a fit does not depend on what else is fitted */
};

/* Hand-size multiples that the background's vectors stay away from the landmarks' hull, in the order tried: a
 * held object is within the first; a hand that fills the image leaves only the last. */
static const double distance_from_hands[] = {1.0, 0.5, 0.2};

/* Points of all hands (or of the background), and what the flows say there: one reading for all, since the flows
 * may lie on a device. */
typedef struct Points {
  long total, *first; /* hands + 1: where each hand's begin: landmarks, then the extra ones */
  double *xy, *uv;    /* total×2; gaps×total×2 */
} Points;

static int read_flows(const Scene *s, Points *p) {
  p->uv = malloc((size_t)(s->gaps * p->total + 1) * 2 * sizeof *p->uv);
  if (!p->uv) return fail("responsibility: out of memory for %ld points", p->total);
  return motion_kernels(s->device)->maps->sample(s, p->total, p->xy, p->uv);
}

static void free_points(Points *p) { free(p->first), free(p->xy), free(p->uv); }

/* Points of every hand: its landmarks, and up to `wanted` in all. */
static int take_points(const Scene *s, long wanted, Points *p) {
  long most = 0;
  for (int k = 0; k < s->hands; k++) most += s->vertex_count[k] + wanted;
  p->first = calloc((size_t)s->hands + 1, sizeof *p->first);
  p->xy = malloc((size_t)(most + 1) * 2 * sizeof *p->xy);
  if (!p->first || !p->xy) return fail("responsibility: out of memory for %ld points", most);
  for (int k = 0; k < s->hands; k++) {
    const long n = s->vertex_count[k];
    double *xy = p->xy + 2 * p->total;
    memcpy(xy, s->vertices[k], (size_t)n * 2 * sizeof *xy);
    const long extra =
        n < wanted ? points_within(n, xy, wanted, s->content_width, s->content_height, xy + 2 * n) : 0;
    if (extra < 0) return 0;
    p->first[k + 1] = p->total += n + extra;
  }
  return read_flows(s, p);
}

typedef struct Job {
  const Scene *scene;
  const Fit *fit;
  const Points *points;
  HandFit *out;
} Job;

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(long n, double *v) {
  qsort(v, (size_t)n, sizeof *v, by_size);
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static int fit_model(const Fit *fit, Model model, long n, const double *source, const double *target,
                     HandFit *out) {
  out->model = model;
  out->inliers = 1;
  if (fit->robust)
    return homography_fit_robust(model, n, source, target, fit->threshold, SEED, out->m, &out->inliers);
  return homography_fit(model, n, source, target, NULL, out->m);
}

/* Sources and their targets by the flow, without those where the flow is no number; returns how many are
 * left. */
static long follow(long n, const double *xy, const double *uv, double *source, double *target) {
  long left = 0;
  for (long i = 0; i < n; i++) {
    const double u = uv[2 * i], v = uv[2 * i + 1];
    if (!isfinite(u) || !isfinite(v)) continue;
    source[2 * left] = xy[2 * i], source[2 * left + 1] = xy[2 * i + 1];
    target[2 * left] = xy[2 * i] + u, target[2 * left + 1] = xy[2 * i + 1] + v;
    left++;
  }
  return left;
}

static int fit_hand(void *arg, long index) {
  const Job *job = arg;
  const Scene *s = job->scene;
  const long gap = index / s->hands, hand = index % s->hands;
  const double *given = job->fit->targets ? job->fit->targets[hand * s->gaps + gap] : NULL;
  const Points *p = job->points;
  const double *xy = p->xy + 2 * p->first[hand];
  long n = given ? s->vertex_count[hand] : p->first[hand + 1] - p->first[hand];
  HandFit *out = job->out + index;
  double *source = malloc((size_t)(5 * n + 1) * sizeof *source), *target = source + 2 * n,
         *error = target + 2 * n;
  if (!source) return fail("responsibility: out of memory for %ld points", n);
  if (given) {
    memcpy(source, xy, (size_t)(2 * n) * sizeof *source);
    memcpy(target, given, (size_t)(2 * n) * sizeof *target);
  } else
    n = follow(n, xy, p->uv + 2 * (gap * p->total + p->first[hand]), source, target);
  int ok = fit_model(job->fit, job->fit->model, n, source, target, out);
  if (!ok && job->fit->fall_back)
    for (int model = job->fit->model + 1; !ok && !failed_for_memory() && model < MODELS; model++)
      ok = fit_model(job->fit, (Model)model, n, source, target, out);
  if (ok) {
    for (long i = 0; i < n; i++) error[i] = sqrt(homography_error2(out->m, source + 2 * i, target + 2 * i));
    out->error = median(n, error);
  } else
    fail("responsibility: hand %ld, gap %ld of the list: %s", hand + 1, gap + 1, error_message());
  free(source);
  return ok;
}

int responsibility_fit(const Scene *scene, const Fit *fit, HandFit *out) {
  Points points = {0};
  Job job = {scene, fit, &points, out};
  int ok =
      take_points(scene, fit->points, &points) && parallel((long)scene->gaps * scene->hands, fit_hand, &job);
  free_points(&points);
  return ok;
}

typedef struct Ground {
  const Points *points;
  GroundFit *fit;
  void *arg;
} Ground;

static int each_gap(void *arg, long gap) {
  const Ground *g = arg;
  const Points *p = g->points;
  long n = p->total;
  double *source = malloc((size_t)(4 * n + 1) * sizeof *source), *target = source + 2 * n;
  if (!source) return fail("responsibility: out of memory for %ld points", n);
  n = follow(n, p->xy, p->uv + 2 * gap * n, source, target);
  const int ok = g->fit(g->arg, gap, n, source, target);
  free(source);
  return ok;
}

typedef struct Plain {
  double threshold;
  HandFit *out;
} Plain;

static int fit_plane(void *arg, long gap, long n, const double *source, const double *target) {
  const Plain *g = arg;
  static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  HandFit *out = g->out + gap;
  double *error = malloc((size_t)(n + 1) * sizeof *error);
  if (!error) return fail("responsibility: out of memory for %ld points", n);
  out->model = MODEL_HOMOGRAPHY;
  out->error = 0;
  int found = n >= GRID_LEAST &&
              homography_fit_robust(out->model, n, source, target, g->threshold, SEED, out->m, &out->inliers);
  int ok = found || n < GRID_LEAST || !failed_for_memory();
  if (found) {
    for (long i = 0; i < n; i++) error[i] = sqrt(homography_error2(out->m, source + 2 * i, target + 2 * i));
    out->error = median(n, error);
  } else {
    memcpy(out->m, identity, sizeof identity);
    out->inliers = 0;
  }
  free(error);
  return ok;
}

/* Grid points at least `away` hand sizes from every hand's hull. */
static long grid(const Scene *s, double away, double *const *hull, const long *corners, double *xy) {
  double step = sqrt((double)(s->content_width * s->content_height) / GRID_POINTS);
  step = fmax(step, fmax(1, fmax((double)s->content_width, (double)s->content_height) / GRID_POINTS));
  long found = 0;
  for (double y = step / 2 - 0.5; y <= (double)(s->content_height - 1); y += step)
    for (double x = step / 2 - 0.5; x <= (double)(s->content_width - 1); x += step) {
      bool clear = true;
      for (int k = 0; k < s->hands && clear; k++) {
        double size = points_size(s->vertex_count[k], s->vertices[k]);
        clear = points_hull_distance(corners[k], hull[k], x, y) > away * size;
      }
      if (clear) xy[2 * found] = x, xy[2 * found + 1] = y, found++;
    }
  return found;
}

int responsibility_ground(const Scene *scene, GroundFit *fit, void *arg) {
  long *corners = calloc((size_t)scene->hands + 1, sizeof *corners);
  double **hull = calloc((size_t)scene->hands + 1, sizeof *hull);
  Points points = {
      .xy = malloc((size_t)4 * GRID_POINTS * 2 * sizeof(double))}; /* G + the border's, at most 2 G + 1 */
  int ok =
      corners && hull && points.xy ? 1 : fail("responsibility: out of memory for %d hands", scene->hands);
  for (int k = 0; ok && k < scene->hands; k++) {
    hull[k] = malloc((size_t)(scene->vertex_count[k] + 1) * 2 * sizeof **hull);
    corners[k] = hull[k] ? points_hull(scene->vertex_count[k], scene->vertices[k], hull[k]) : 0;
    if (!corners[k]) ok = fail("responsibility: out of memory for the hull of hand %d", k + 1);
  }
  for (int i = 0; ok && i < 3 && points.total < GRID_POINTS / 10; i++)
    points.total = grid(scene, distance_from_hands[i], hull, corners, points.xy);
  Ground ground = {&points, fit, arg};
  ok = ok && read_flows(scene, &points) && parallel(scene->gaps, each_gap, &ground);
  for (int k = 0; hull && k < scene->hands; k++) free(hull[k]);
  free(hull), free(corners), free_points(&points);
  return ok;
}

int responsibility_background(const Scene *scene, double threshold, HandFit *out) {
  Plain plain = {threshold, out};
  return responsibility_ground(scene, fit_plane, &plain);
}

int responsibility_motion(const Scene *scene, const HandFit *background, double *out) {
  static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  Points p = {0};
  int ok = take_points(scene, 0, &p);
  double *length = ok ? malloc((size_t)(p.total + 1) * sizeof *length) : NULL;
  if (ok && !length) ok = fail("responsibility: out of memory for %ld points", p.total);
  for (int g = 0; ok && g < scene->gaps; g++)
    for (int k = 0; k < scene->hands; k++) {
      const long n = p.first[k + 1] - p.first[k];
      const double *xy = p.xy + 2 * p.first[k], *uv = p.uv + 2 * (g * p.total + p.first[k]);
      for (long i = 0; i < n; i++) {
        double target[2] = {xy[2 * i] + uv[2 * i], xy[2 * i + 1] + uv[2 * i + 1]};
        length[i] = sqrt(homography_error2(background ? background[g].m : identity, xy + 2 * i, target));
      }
      out[g * scene->hands + k] = median(n, length);
    }
  free(length), free_points(&p);
  return ok;
}
