/* Gaussian mixtures over colours (0 to 255), full covariances, by expectation maximisation. */
#ifndef MOTION_MIXTURE_H
#define MOTION_MIXTURE_H

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

/* Log density of a colour; some of it belongs to colours of any kind. */
float mixture_log(const Mixture *m, const float *colour);

#endif
