/* Plane motions between two sets of points: homographies and their poorer relatives, by least squares and
 * robustly.
 *
 * Points are (x, y) pairs of doubles, in pixels or any other unit; a motion is a 3×3 matrix, row-major. It
 * stands for itself times any number: its last entry is 1, or, where that is 0 (the origin goes to infinity),
 * its Frobenius norm is 1 and its largest entry positive. Nothing here knows images; see points.h for flow
 * and responsibility.h for hands. */
#ifndef MOTION_HOMOGRAPHY_H
#define MOTION_HOMOGRAPHY_H

#include <stdint.h>

typedef enum Model { MODEL_HOMOGRAPHY, MODEL_AFFINE, MODEL_SIMILARITY, MODEL_TRANSLATION, MODELS } Model;
extern const char *const model_name[MODELS];

/* Brings m to that scale; 0 when it is all zeros or not finite. */
int homography_scale(double m[9]);

/* Points that a model needs: 4, 3, 2, 1. */
int model_points(Model model);

/* The least-squares motion that takes source to target; homographies by the normalised direct linear
 * transform (Hartley, TPAMI 1997), whose 8th singular value must stand clearly above 0. weight (NULL: all 1,
 * never negative) multiplies the squared errors. 0 with one line when the points do not determine the motion:
 * too few of them, on a line (homography: three of four), not finite, or a target that has collapsed. */
int homography_fit(Model model, long n, const double *source /* n×2 */, const double *target /* n×2 */,
                   const double *weight /* n */, double m[9]);

/* The same with outliers: samples of the least number of points (RANSAC; Fischler & Bolles, CACM 1981), drawn
 * by Philox from `seed`, then refits with weights that fall with the error (Geman-McClure) until they settle.
 * threshold > 0: the error, in units of the target, beyond which a point is an outlier; samples are scored by
 * the truncated squared error. threshold 0: found from the points by least median of squares, which stands up
 * to half of them. inliers (NULL allowed) receives the share of points within the threshold. */
int homography_fit_robust(Model model, long n, const double *source, const double *target, double threshold,
                          uint64_t seed, double m[9], double *inliers);

/* Where m takes (x, y): 1, or 0 when that is at or beyond the horizon of the point `from` (w has another sign
 * there). */
int homography_apply(const double m[9], const double from[2], double x, double y, double out[2]);

/* The squared distance between m·source and target; INFINITY at w = 0. */
double homography_error2(const double m[9], const double *source /* 2 */, const double *target /* 2 */);

#endif
