/* Robust fits: many motions from samples of the least number of points, the best of them refined by
 * iteratively reweighted least squares. Same points, same seed: same bits. */
#include "motion/homography.h"

#include "core/error.h"
#include "core/random.h"
#include "motion/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES_MAX = 300, SAMPLES_MIN = 30, REFITS = 10 };

/* The map of the unit square's corners to p[0..3] (Heckbert, Fundamentals of Texture Mapping, 1989,
 * section 2.2.3). */
static int square_to_quad(double p[4][2], double h[9]) {
  double ax = p[1][0] - p[2][0], ay = p[1][1] - p[2][1], bx = p[3][0] - p[2][0], by = p[3][1] - p[2][1];
  double sx = p[0][0] - p[1][0] + p[2][0] - p[3][0], sy = p[0][1] - p[1][1] + p[2][1] - p[3][1];
  double det = ax * by - bx * ay;
  if (det == 0) return 0;
  double g = (sx * by - bx * sy) / det, k = (ax * sy - sx * ay) / det;
  double out[9] = {p[1][0] - p[0][0] + g * p[1][0],
                   p[3][0] - p[0][0] + k * p[3][0],
                   p[0][0],
                   p[1][1] - p[0][1] + g * p[1][1],
                   p[3][1] - p[0][1] + k * p[3][1],
                   p[0][1],
                   g,
                   k,
                   1};
  memcpy(h, out, sizeof out);
  return 1;
}

/* The smallest of the four triangles in p against the largest squared side; area[i] is signed and doubled. */
static double flatness(double p[4][2], double area[4]) {
  static const int triangle[4][3] = {{0, 1, 2}, {0, 1, 3}, {0, 2, 3}, {1, 2, 3}};
  double least = INFINITY, side = 0;
  for (int i = 0; i < 4; i++) {
    const int *t = triangle[i];
    area[i] = points_turn(p[t[0]], p[t[1]], p[t[2]]);
    least = fmin(least, fabs(area[i]));
    for (int j = 0; j < i; j++)
      side =
          fmax(side, (p[i][0] - p[j][0]) * (p[i][0] - p[j][0]) + (p[i][1] - p[j][1]) * (p[i][1] - p[j][1]));
  }
  return least / side;
}

/* The homography of four pairs; 0 when three points are nearly on a line, or a triangle turns over (which no
 * motion of a plane in front of a camera does). Closed form: this runs hundreds of times a fit. */
static int four_points(double p[4][2], double q[4][2], double m[9]) {
  double a[4], b[4];
  if (!(flatness(p, a) > 0.005) || !(flatness(q, b) > 0.005)) return 0;
  for (int i = 0; i < 4; i++)
    if ((a[i] > 0) != (b[i] > 0)) return 0;
  double s[9], t[9];
  if (!square_to_quad(p, s) || !square_to_quad(q, t)) return 0;
  double inverse[9] = {s[4] * s[8] - s[5] * s[7], s[2] * s[7] - s[1] * s[8], s[1] * s[5] - s[2] * s[4],
                       s[5] * s[6] - s[3] * s[8], s[0] * s[8] - s[2] * s[6], s[2] * s[3] - s[0] * s[5],
                       s[3] * s[7] - s[4] * s[6], s[1] * s[6] - s[0] * s[7], s[0] * s[4] - s[1] * s[3]};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      m[3 * i + j] = t[3 * i] * inverse[j] + t[3 * i + 1] * inverse[3 + j] + t[3 * i + 2] * inverse[6 + j];
  return homography_scale(m);
}

/* The motion of a random sample; 0 when the sample is degenerate. */
static int sample(Model model, Random *r, long n, const double *source, const double *target, double m[9]) {
  double p[4][2], q[4][2];
  long taken[4];
  int points = model_points(model);
  for (int i = 0; i < points; i++) {
    taken[i] = random_below(r, n);
    for (int j = 0; j < i; j++)
      if (taken[j] == taken[i]) return 0;
    memcpy(p[i], source + 2 * taken[i], sizeof p[i]);
    memcpy(q[i], target + 2 * taken[i], sizeof q[i]);
  }
  if (model == MODEL_HOMOGRAPHY) return four_points(p, q, m);
  return homography_fit(model, points, p[0], q[0], NULL, m);
}

/* The k-th smallest of v, which is reordered. */
static double smallest(long n, double *v, long k) {
  long low = 0, high = n - 1;
  while (low < high) {
    double pivot = v[low + (high - low) / 2];
    long i = low, j = high;
    while (i <= j) {
      while (v[i] < pivot) i++;
      while (v[j] > pivot) j--;
      if (i <= j) {
        double swap = v[i];
        v[i++] = v[j], v[j--] = swap;
      }
    }
    if (k <= j)
      high = j;
    else if (k >= i)
      low = i;
    else
      break;
  }
  return v[k];
}

/* What a motion costs: the truncated squared errors, or (limit2 = 0) the median squared error. */
static double cost(const double m[9], long n, const double *source, const double *target, double limit2,
                   double *error, long *inside) {
  double sum = 0;
  *inside = 0;
  for (long i = 0; i < n; i++) {
    error[i] = homography_error2(m, source + 2 * i, target + 2 * i);
    if (error[i] < limit2)
      sum += error[i], ++*inside;
    else
      sum += limit2;
  }
  return limit2 > 0 ? sum : smallest(n, error, n / 2);
}

/* Refits with Geman-McClure weights (c² / (c² + e²))² as long as the cost falls. 0 when memory is short. */
static int refine(Model model, long n, const double *source, const double *target, double c2, double *error,
                  double *weight, double m[9]) {
  long inside;
  double best = cost(m, n, source, target, c2, error, &inside), now[9];
  memcpy(now, m, sizeof now);
  for (int k = 0; k < REFITS; k++) {
    for (long i = 0; i < n; i++) {
      double w = c2 / (c2 + homography_error2(now, source + 2 * i, target + 2 * i));
      weight[i] = w * w;
    }
    if (!homography_fit(model, n, source, target, weight, now)) return !failed_for_memory();
    double next = cost(now, n, source, target, c2, error, &inside);
    if (next >= best && k > 0) return 1;
    if (next < best) best = next, memcpy(m, now, sizeof now);
  }
  return 1;
}

int homography_fit_robust(Model model, long n, const double *source, const double *target, double threshold,
                          uint64_t seed, double m[9], double *inliers) {
  if (inliers) *inliers = 1;
  int points = model_points(model);
  if (n <= points) return homography_fit(model, n, source, target, NULL, m);
  for (long i = 0; i < 2 * n; i++)
    if (!isfinite(source[i]) || !isfinite(target[i]))
      return fail("homography: expected finite points, found one that is not a number or infinite");
  double *error = malloc(2 * (size_t)n * sizeof *error), *weight = error + n;
  if (!error) return fail_memory("homography: out of memory for %ld points", n);

  Random r;
  random_start(&r, seed, 0);
  double best = INFINITY, limit2 = threshold * threshold;
  long wanted = SAMPLES_MAX, inside;
  for (long k = 0; k < wanted; k++) {
    double h[9];
    if (!sample(model, &r, n, source, target, h)) continue;
    double c = cost(h, n, source, target, limit2, error, &inside);
    if (!(c < best)) continue;
    best = c;
    memcpy(m, h, sizeof h);
    if (limit2 > 0) { /* samples until one without outliers was drawn with probability 0.999 */
      double good = pow((double)inside / (double)n, points);
      double enough = good < 1 ? log(1e-3) / log1p(-good) : 0;
      if (enough < (double)wanted) wanted = (long)fmax(SAMPLES_MIN, ceil(enough));
    }
  }
  if (best == INFINITY) { /* every sample was degenerate: so are the points, or nearly */
    free(error);
    return homography_fit(model, n, source, target, NULL, m);
  }
  if (limit2 ==
      0) { /* the robust deviation (Rousseeuw, JASA 1984), with a floor for points that fit exactly */
    double size = 0;
    for (long i = 0; i < 2 * n; i++) size = fmax(size, fabs(target[i]));
    double deviation = 1.4826 * (1 + 5.0 / (double)(n - points)) * sqrt(best);
    limit2 = pow(fmax(2.5 * deviation, 1e-7 * size + 1e-300), 2);
  }
  int ok = refine(model, n, source, target, limit2, error, weight, m);
  cost(m, n, source, target, limit2, error, &inside);
  if (inliers) *inliers = (double)inside / (double)n;
  free(error);
  return ok;
}
