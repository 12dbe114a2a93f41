/* Least-squares fits of plane motions. All fits run on points that are shifted to their mean and scaled to a
 * mean distance of √2, so that the thresholds below mean the same for any unit; the matrix is taken back at
 * the end. */
#include "motion/homography.h"

#include "backend/lapack.h"
#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const model_name[MODELS] = {"homography", "affine", "similarity", "translation"};

static const char *const need[MODELS] = {"four points of which no three are on a line",
                                         "three points that are not on a line", "two points apart",
                                         "one point"};

int model_points(Model model) { return 4 - (int)model; }

/* Singular values below this share of the largest count as 0: points rounded to float32 and on a line give
 * 1e-7. */
static const double tiny = 1e-5;

/* A last entry below this share of the Frobenius norm counts as 0: the origin goes to infinity. */
static const double last_tiny = 1e-12;

typedef struct Norm {
  double cx, cy, scale; /* normalised = (p - c) * scale */
} Norm;

/* 0 when the points are not finite; scale is 0 when they are all the same. */
static int norm_of(long n, const double *p, const double *weight, Norm *norm) {
  double sx = 0, sy = 0, sum = 0, spread = 0;
  for (long i = 0; i < n; i++) {
    double w = weight ? weight[i] : 1;
    sx += w * p[2 * i], sy += w * p[2 * i + 1], sum += w;
  }
  if (!isfinite(sx) || !isfinite(sy) || !isfinite(sum) || sum <= 0) return 0;
  norm->cx = sx / sum, norm->cy = sy / sum;
  for (long i = 0; i < n; i++)
    spread += (weight ? weight[i] : 1) * hypot(p[2 * i] - norm->cx, p[2 * i + 1] - norm->cy);
  spread /= sum;
  double size = fabs(norm->cx) + fabs(norm->cy) + spread;
  norm->scale = spread > 1e-12 * size ? sqrt(2) / spread : 0;
  return isfinite(spread);
}

static void multiply(const double a[9], const double b[9], double out[9]) {
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      out[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
}

int homography_scale(double m[9]) {
  double square = 0, largest = 0;
  for (int i = 0; i < 9; i++) {
    square += m[i] * m[i];
    if (fabs(m[i]) > fabs(largest)) largest = m[i];
  }
  double norm = sqrt(square), by = fabs(m[8]) > last_tiny * norm ? m[8] : copysign(norm, largest);
  if (!(norm > 0) || !isfinite(norm)) return 0;
  for (int i = 0; i < 9; i++) m[i] /= by;
  return 1;
}

/* m = U⁻¹ h T with the normalisations T of the source and U of the target, in the scale above. */
static int take_back(const double h[9], Norm t, Norm u, double m[9]) {
  double source[9] = {t.scale, 0, -t.scale * t.cx, 0, t.scale, -t.scale * t.cy, 0, 0, 1};
  double target[9] = {1 / u.scale, 0, u.cx, 0, 1 / u.scale, u.cy, 0, 0, 1}, half[9];
  multiply(h, source, half);
  multiply(target, half, m);
  return homography_scale(m) || fail("homography: expected points within the range of numbers");
}

/* Smallest over largest singular value of a 3×3 matrix. */
static double regularity(const double h[9]) {
  double a[9], s[3];
  memcpy(a, h, sizeof a);
  return lapack_svd(3, 3, a, s, NULL) && s[0] > 0 ? s[2] / s[0] : 0;
}

/* The normalised DLT: the two rows of each pair as in Hartley & Zisserman, Multiple View
 * Geometry, eq. 4.3. */
static int fit_homography(long n, const double *p, const double *q, const double *weight, Norm t, Norm u,
                          double h[9]) {
  long rows = 2 * n < 9 ? 9 : 2 * n; /* four points: one row of zeros below */
  double *a = calloc((size_t)rows * 9, sizeof *a), s[9], vt[81];
  if (!a) return fail_memory("homography: out of memory for %ld points", n);
  for (long i = 0; i < n; i++) {
    double w = weight ? sqrt(weight[i]) : 1, *row = a + 18 * i;
    double x = (p[2 * i] - t.cx) * t.scale, y = (p[2 * i + 1] - t.cy) * t.scale;
    double tx = (q[2 * i] - u.cx) * u.scale, ty = (q[2 * i + 1] - u.cy) * u.scale;
    double first[9] = {-x, -y, -1, 0, 0, 0, tx * x, tx * y, tx};
    double second[9] = {0, 0, 0, -x, -y, -1, ty * x, ty * y, ty};
    for (int j = 0; j < 9; j++) row[j] = w * first[j], row[9 + j] = w * second[j];
  }
  int ok = lapack_svd((int)rows, 9, a, s, vt);
  free(a);
  if (!ok) return 0;
  memcpy(h, vt + 72, 9 * sizeof *h);
  if (!(s[7] > tiny * s[0]))
    return fail("homography: expected %s, found degenerate points (8th singular value %.1e of the largest)",
                need[MODEL_HOMOGRAPHY], s[0] > 0 ? s[7] / s[0] : 0);
  double flat = regularity(h), m[9], norm = 0;
  if (flat > tiny) return 1;
  take_back(h, t, u, m);
  for (int i = 0; i < 9; i++) norm = hypot(norm, m[i]);
  return fail("homography: expected %s, found points that only a motion that flattens the plane fits "
              "(singular values %.1e to 1%s)",
              need[MODEL_HOMOGRAPHY], flat, fabs(m[8]) < 1e-6 * norm ? ", last entry 0" : "");
}

/* The affine map by its normal equations, which are well-conditioned on normalised points. */
static int fit_affine(long n, const double *p, const double *q, const double *weight, Norm t, Norm u,
                      double h[9]) {
  double a[9] = {0}, right[2][3] = {{0}}, b[9], s[3];
  for (long i = 0; i < n; i++) {
    double w = weight ? weight[i] : 1;
    double row[3] = {(p[2 * i] - t.cx) * t.scale, (p[2 * i + 1] - t.cy) * t.scale, 1};
    double tx = (q[2 * i] - u.cx) * u.scale, ty = (q[2 * i + 1] - u.cy) * u.scale;
    for (int j = 0; j < 3; j++) {
      for (int k = 0; k < 3; k++) a[3 * j + k] += w * row[j] * row[k];
      right[0][j] += w * row[j] * tx, right[1][j] += w * row[j] * ty;
    }
  }
  memcpy(b, a, sizeof b);
  if (!lapack_svd(3, 3, b, s, NULL)) return 0;
  if (!(s[2] > tiny * tiny * s[0])) /* squared: these are the values of AᵀA */
    return fail("homography: expected %s for an affine model, found points on a line", need[MODEL_AFFINE]);
  memcpy(b, a, sizeof b);
  if (!lapack_solve(3, b, right[0]) || !lapack_solve(3, a, right[1])) return 0;
  memcpy(h, right, sizeof right);
  h[6] = h[7] = 0, h[8] = 1;
  if (!(regularity(h) > tiny))
    return fail("homography: expected %s for an affine model, found targets on a line", need[MODEL_AFFINE]);
  return 1;
}

/* Rotation, scale and shift in closed form (Umeyama, TPAMI 1991, without reflections). */
static void fit_similarity(long n, const double *p, const double *q, const double *weight, Norm t, Norm u,
                           double h[9]) {
  double dot = 0, cross = 0, square = 0;
  for (long i = 0; i < n; i++) {
    double w = weight ? weight[i] : 1;
    double x = (p[2 * i] - t.cx) * t.scale, y = (p[2 * i + 1] - t.cy) * t.scale;
    double tx = (q[2 * i] - u.cx) * u.scale, ty = (q[2 * i + 1] - u.cy) * u.scale;
    dot += w * (x * tx + y * ty), cross += w * (x * ty - y * tx), square += w * (x * x + y * y);
  }
  double c = dot / square, s = cross / square;
  double out[9] = {c, -s, 0, s, c, 0, 0, 0, 1};
  memcpy(h, out, sizeof out);
}

int homography_fit(Model model, long n, const double *source, const double *target, const double *weight,
                   double m[9]) {
  if (n < model_points(model)) return fail("homography: expected %s, found %ld", need[model], n);
  Norm t, u;
  if (!norm_of(n, source, weight, &t) || !norm_of(n, target, weight, &u))
    return fail("homography: expected finite points, found one that is not a number or infinite");
  if (model == MODEL_TRANSLATION) {
    double out[9] = {1, 0, u.cx - t.cx, 0, 1, u.cy - t.cy, 0, 0, 1};
    memcpy(m, out, sizeof out);
    return 1;
  }
  if (t.scale == 0 || u.scale == 0)
    return fail("homography: expected %s, found %ld at one place", need[model], n);
  double h[9];
  if (model == MODEL_SIMILARITY)
    fit_similarity(n, source, target, weight, t, u, h);
  else if (model == MODEL_AFFINE ? !fit_affine(n, source, target, weight, t, u, h)
                                 : !fit_homography(n, source, target, weight, t, u, h))
    return 0;
  return take_back(h, t, u, m);
}

int homography_apply(const double m[9], const double from[2], double x, double y, double out[2]) {
  double w = m[6] * x + m[7] * y + m[8], side = m[6] * from[0] + m[7] * from[1] + m[8];
  if (!(w * (side > 0 ? 1 : side < 0 ? -1 : 0) > 1e-12)) return 0;
  out[0] = (m[0] * x + m[1] * y + m[2]) / w;
  out[1] = (m[3] * x + m[4] * y + m[5]) / w;
  return 1;
}

double homography_error2(const double m[9], const double *source, const double *target) {
  double x = source[0], y = source[1], w = m[6] * x + m[7] * y + m[8];
  double dx = (m[0] * x + m[1] * y + m[2]) / w - target[0], dy = (m[3] * x + m[4] * y + m[5]) / w - target[1];
  double e = dx * dx + dy * dy;
  return e < INFINITY ? e : INFINITY; /* NaN too */
}
