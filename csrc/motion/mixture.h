/* Gaussian mixtures over colours (0 to 255), full covariances, by expectation maximisation. */
#ifndef MOTION_MIXTURE_H
#define MOTION_MIXTURE_H

#include "backend/each.h"

#include <math.h>

enum { MIXTURE_MAX = 6 };
typedef struct Mixture {
  int n;
  float mean[MIXTURE_MAX][3];
  float inverse[MIXTURE_MAX][6]; /* of the covariance: xx, xy, xz, yy, yz, zz */
  float log_weight[MIXTURE_MAX]; /* with the normalisation */
} Mixture;

/* Fits at most k components to the colours of positive weight (at most 3000 of them, evenly taken); fewer to
 * little weight; 0 (no message) to next to none. */
int mixture_fit(Mixture *m, const float *colours /* count x 3 */, const float *weights, long count, int k);

/* Log density of a colour in component k. */
BODY float mixture_component_log(const Mixture *m, int k, const float *colour) {
  const float *v = m->inverse[k];
  float x = colour[0] - m->mean[k][0], y = colour[1] - m->mean[k][1], z = colour[2] - m->mean[k][2];
  float q = v[0] * x * x + v[3] * y * y + v[5] * z * z + 2 * (v[1] * x * y + v[2] * x * z + v[4] * y * z);
  return m->log_weight[k] - 0.5f * q;
}

/* Log density of a colour; some of it belongs to colours of any kind. */
static const float mixture_outliers = 0.02f; /* their share */
BODY float mixture_log(const Mixture *m, const float *colour) {
  float p = mixture_outliers / (256.0f * 256.0f * 256.0f);
  for (int k = 0; k < m->n; k++) p += (1 - mixture_outliers) * expf(mixture_component_log(m, k, colour));
  return logf(p);
}

#endif
