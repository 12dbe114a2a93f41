/* The fits behind a responsibility map: every hand's motion and the background's, for every gap. Points of
 * the hands are made once, then each (gap, hand) is one task of the pool. */
#include "motion/responsibility.h"

#include "core/error.h"
#include "core/pool.h"
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

typedef struct Points {
  long count;
  double *xy; /* landmarks first, then the extra ones */
} Points;

typedef struct Job {
  const Scene *scene;
  const Fit *fit;
  const Points *points; /* hands */
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
static long follow(const Scene *s, long gap, long n, const double *xy, double *source, double *target) {
  long left = 0;
  points_sample(s->flow[gap], s->content_width, s->content_height, s->width, n, xy, target);
  for (long i = 0; i < n; i++) {
    double u = target[2 * i], v = target[2 * i + 1];
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
  const Points *p = job->points + hand;
  long n = given ? s->vertex_count[hand] : p->count;
  HandFit *out = job->out + index;
  double *source = malloc((size_t)(5 * n + 1) * sizeof *source), *target = source + 2 * n,
         *error = target + 2 * n;
  if (!source) return fail("responsibility: out of memory for %ld points", n);
  if (given) {
    memcpy(source, p->xy, (size_t)(2 * n) * sizeof *source);
    memcpy(target, given, (size_t)(2 * n) * sizeof *target);
  } else
    n = follow(s, gap, n, p->xy, source, target);
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

static int hand_points(const Scene *s, const Fit *fit, long hand, Points *p) {
  long n = s->vertex_count[hand];
  p->xy = malloc((size_t)(n + fit->points) * 2 * sizeof *p->xy);
  if (!p->xy) return fail("responsibility: out of memory for %ld points", n + fit->points);
  memcpy(p->xy, s->vertices[hand], (size_t)n * 2 * sizeof *p->xy);
  long extra = n < fit->points
                   ? points_within(n, p->xy, fit->points, s->content_width, s->content_height, p->xy + 2 * n)
                   : 0;
  p->count = n + extra;
  return extra >= 0;
}

int responsibility_fit(const Scene *scene, const Fit *fit, HandFit *out) {
  Points *points = calloc((size_t)scene->hands + 1, sizeof *points);
  int ok = points ? 1 : fail("responsibility: out of memory for %d hands", scene->hands);
  for (int k = 0; ok && k < scene->hands; k++) ok = hand_points(scene, fit, k, points + k);
  Job job = {scene, fit, points, out};
  ok = ok && parallel((long)scene->gaps * scene->hands, fit_hand, &job);
  for (int k = 0; points && k < scene->hands; k++) free(points[k].xy);
  free(points);
  return ok;
}

typedef struct Ground {
  const Scene *scene;
  long count;
  const double *xy;
  double threshold;
  HandFit *out;
} Ground;

static int fit_ground(void *arg, long gap) {
  const Ground *g = arg;
  const Scene *s = g->scene;
  static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  HandFit *out = g->out + gap;
  long n = g->count;
  double *source = malloc((size_t)(5 * n + 1) * sizeof *source), *target = source + 2 * n,
         *error = target + 2 * n;
  if (!source) return fail("responsibility: out of memory for %ld points", n);
  n = follow(s, gap, n, g->xy, source, target);
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
  free(source);
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

int responsibility_background(const Scene *scene, double threshold, HandFit *out) {
  long *corners = calloc((size_t)scene->hands + 1, sizeof *corners), count = 0;
  double **hull = calloc((size_t)scene->hands + 1, sizeof *hull);
  double *xy = malloc((size_t)4 * GRID_POINTS * 2 * sizeof *xy); /* G + the border's, at most 2 G + 1 */
  int ok = corners && hull && xy ? 1 : fail("responsibility: out of memory for %d hands", scene->hands);
  for (int k = 0; ok && k < scene->hands; k++) {
    hull[k] = malloc((size_t)(scene->vertex_count[k] + 1) * 2 * sizeof **hull);
    corners[k] = hull[k] ? points_hull(scene->vertex_count[k], scene->vertices[k], hull[k]) : 0;
    if (!corners[k]) ok = fail("responsibility: out of memory for the hull of hand %d", k + 1);
  }
  for (int i = 0; ok && i < 3 && count < GRID_POINTS / 10; i++)
    count = grid(scene, distance_from_hands[i], hull, corners, xy);
  Ground ground = {scene, count, xy, threshold, out};
  ok = ok && parallel(scene->gaps, fit_ground, &ground);
  for (int k = 0; hull && k < scene->hands; k++) free(hull[k]);
  free(hull), free(corners), free(xy);
  return ok;
}

int responsibility_motion(const Scene *scene, const HandFit *background, double *out) {
  static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (int g = 0; g < scene->gaps; g++)
    for (int k = 0; k < scene->hands; k++) {
      long n = scene->vertex_count[k];
      const double *xy = scene->vertices[k];
      double *uv = malloc((size_t)(3 * n + 1) * sizeof *uv), *length = uv + 2 * n;
      if (!uv) return fail("responsibility: out of memory for %ld points", n);
      points_sample(scene->flow[g], scene->content_width, scene->content_height, scene->width, n, xy, uv);
      for (long i = 0; i < n; i++) {
        double target[2] = {xy[2 * i] + uv[2 * i], xy[2 * i + 1] + uv[2 * i + 1]};
        length[i] = sqrt(homography_error2(background ? background[g].m : identity, xy + 2 * i, target));
      }
      out[g * scene->hands + k] = median(n, length);
      free(uv);
    }
  return 1;
}
