/* Moving cameras beyond planes: the fundamental matrix F of two views, x'ᵀ F x = 0 for every still point that x sees in
 * the one and x' in the other (Hartley, "In Defense of the Eight-Point Algorithm", TPAMI 1997). And the choice of a
 * model by its fit (Torr, "Geometric Motion Segmentation and Model Selection", Phil. Trans. R. Soc. A 1998). */
#ifndef MOTION_EPIPOLAR_H
#define MOTION_EPIPOLAR_H

#include "motion/responsibility.h"

/* The squared Sampson distance of a pair to F, pixels: how far both points must move at least, to first order. */
double epipolar_error2(const double f[9], const double *source /* 2 */, const double *target /* 2 */);

/* F by the normalised eight-point algorithm, of rank 2 and length 1: least squares with weights (NULL: all 1). 0 with
 * one line for fewer than 8 points or points that do not determine it. */
int epipolar_fit(long n, const double *source /* n×2 */, const double *target /* n×2 */,
                 const double *weight /* n */, double f[9]);

/* The same with outliers: samples of eight (RANSAC) drawn from `seed`, scored by the truncated squared error, then refits
 * on what lies within the threshold (pixels). inliers: the share of points within it. */
int epipolar_fit_robust(long n, const double *source, const double *target, double threshold, uint64_t seed,
                        double f[9], double *inliers);

/* One F of the background per gap, from the vectors that responsibility_background takes; .m is F, .error the median
 * distance. A gap whose vectors do not determine one gets F = 0, to which every distance is 0 only for points that stay:
 * such a background is static; inliers = 0. */
int epipolar_background(const Scene *scene, double threshold, HandFit *out /* gaps */);

/* What backgrounds cost by Torr's geometric robust information criterion, summed over the gaps; the least fits best. */
typedef enum Ground { GROUND_STATIC, GROUND_HOMOGRAPHY, GROUND_EPIPOLAR, GROUNDS } Ground;
extern const char *const ground_name[GROUNDS];
int epipolar_choose(const Scene *scene, double threshold, double cost[GROUNDS]);

/* As responsibility_map (temperature > 0) or, for temperature 0, responsibility_residuals, with the Sampson distance to
 * f (gaps × 9) as the background's; planes->background is not looked at. The scene's memory is the host's. */
int epipolar_map(const Scene *scene, const Planes *planes, const double *f, double temperature, float *out);

#endif
