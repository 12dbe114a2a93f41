/* Responsibility maps over whole images: prepares the motions and hulls for the device's kernels. */
#include "motion/responsibility.h"

#include "core/error.h"
#include "motion/kernels.h"
#include "motion/points.h"

#include <math.h>
#include <stdlib.h>

/* See map_kernels.h. */
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

static int fill(const Scene *scene, const Planes *planes, double scale, bool residuals, float *out) {
  if (planes->hands > HANDS_MAX)
    return fail("responsibility: expected at most %d hands, found %d", HANDS_MAX, planes->hands);
  const bool still = !planes->background;
  const int each = planes->hands + !still;
  Plane *plane = malloc((size_t)(planes->gaps * each + 1) * sizeof *plane);
  if (!plane) return fail("responsibility: out of memory for %d gaps", planes->gaps);
  const double middle[2] = {(double)(scene->content_width - 1) / 2, (double)(scene->content_height - 1) / 2};
  for (int g = 0; g < planes->gaps; g++) {
    Plane *p = plane + g * each;
    for (int k = 0; k < planes->hands; k++)
      p[k] = plane_of(planes->motion + 9 * (g * planes->hands + k), planes->centre + 2 * k);
    if (!still) p[planes->hands] = plane_of(planes->background + 9 * g, middle);
  }
  const MapJob job = {scene, each, plane, still, residuals, scale, out};
  int ok = motion_kernels(scene->device)->maps->fill(&job);
  free(plane);
  return ok;
}

int responsibility_map(const Scene *scene, const Planes *planes, double temperature, float *out) {
  return fill(scene, planes, M_LOG2E / temperature, false, out);
}

int responsibility_residuals(const Scene *scene, const Planes *planes, float *out) {
  return fill(scene, planes, 1, true, out);
}

int responsibility_closeness(const Scene *scene, double closeness, float *map) {
  if (scene->hands > HANDS_MAX)
    return fail("responsibility: expected at most %d hands, found %d", HANDS_MAX, scene->hands);
  long most = 0;
  for (int k = 0; k < scene->hands; k++) most += scene->vertex_count[k] + 1;
  double *corner = malloc((size_t)(most + 1) * 2 * sizeof *corner);
  float *all = malloc((size_t)(most + 1) * 2 * sizeof *all);
  Hulls hulls = {.corner = all};
  int ok = corner && all ? 1 : fail("responsibility: out of memory for the hulls of %d hands", scene->hands);
  for (int k = 0; ok && k < scene->hands; k++) {
    const long first = hulls.first[k];
    const long n = points_hull(scene->vertex_count[k], scene->vertices[k], corner);
    const double size = points_size(scene->vertex_count[k], scene->vertices[k]);
    ok = n > 0;
    for (long i = 0; i < 2 * n; i++) all[2 * first + i] = (float)corner[i];
    hulls.first[k + 1] = first + n;
    hulls.scale[k] = (float)(-M_LOG2E / fmax(closeness * size, 1e-3));
  }
  ok = ok && motion_kernels(scene->device)->maps->closeness(scene, &hulls, map);
  free(corner), free(all);
  return ok;
}
