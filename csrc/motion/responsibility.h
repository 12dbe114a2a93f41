/* Responsibility maps: which hand, or the background, moves each pixel (method steps 2 to 5). Fits of the
 * hands' motions to the flow, distances, and their softmax, averaged over gaps.
 *
 * Flows are H×W×2 floats in pixels, one per gap. `content` is the part (left and top) that shows the image;
 * the rest is padding, which takes no part in any fit and belongs to the background.
 * Hands count from 0 here. */
#ifndef MOTION_RESPONSIBILITY_H
#define MOTION_RESPONSIBILITY_H

#include "core/device.h"
#include "motion/homography.h"

#include <stdbool.h>

typedef struct Scene {
  Device *device;     /* where the flows are, and what is made of them */
  long width, height; /* of the flows */
  long content_width, content_height;
  int gaps, hands;
  const float *const *flow;      /* gaps × (H×W×2) */
  const double *const *vertices; /* hands × (V×2): the landmarks, pixels */
  const long *vertex_count;      /* hands */
} Scene;

typedef struct Fit {
  Model model;
  bool fall_back; /* degenerate points: try affine, similarity, translation in turn instead of refusing */
  long points;    /* extra points within each hand (see points_within), 0: none */
  bool robust;
  double threshold;             /* of the robust fits, pixels; 0: found from the points */
  const double *const *targets; /* hands × gaps × (V×2), index hand * gaps + gap: where the vertices go,
                                   instead of the flow's word; NULL: by flow */
} Fit;

typedef struct HandFit {
  double m[9];
  Model model;    /* that was fitted */
  double error;   /* median distance of the fitted points to their targets, pixels */
  double inliers; /* share within the threshold, 1 when not robust */
} HandFit;

/* One fit per hand and gap. 0 with one line naming hand and gap. */
int responsibility_fit(const Scene *scene, const Fit *fit, HandFit *out /* gaps×hands */);

/* Calls fit for every gap, on several threads, with a grid of flow vectors that keeps away from the hands: n pairs of
 * where they start and where they lead. */
typedef int GroundFit(void *arg, long gap, long n, const double *source /* n×2 */,
                      const double *target /* n×2 */);
int responsibility_ground(const Scene *scene, GroundFit *fit, void *arg);

/* One robust homography of the background per gap, from a grid of flow vectors that keeps away from the
 * hands. A gap whose vectors do not determine one gets the identity, a static background, and inliers = 0. */
int responsibility_background(const Scene *scene, double threshold, HandFit *out /* gaps */);

/* Per hand and gap the median over the landmarks of the flow's distance to the background's motion, pixels;
 * background NULL: the length of the flow. */
int responsibility_motion(const Scene *scene, const HandFit *background, double *out /* gaps×hands */);

/* What the kernels take: motions of the chosen hands and the background. */
typedef struct Planes {
  int gaps, hands;
  const double *motion; /* gaps×hands×9 */
  const double *centre; /* hands×2: the mean of the vertices, whose side of the horizon is the visible one */
  const double *background; /* gaps×9, or NULL: static */
} Planes;

/* R: softmax of -distance / temperature over hands and background, mean over gaps. Where every distance is
 * infinite the background gets 1. */
int responsibility_map(const Scene *scene, const Planes *planes, double temperature,
                       float *out /* H×W×(N+1) */);

/* The distances themselves, pixels, infinite at and beyond the horizon; background last. */
int responsibility_residuals(const Scene *scene, const Planes *planes, float *out /* G×H×W×(N+1) */);

/* Multiplies R_k by exp(-distance to the landmarks' hull / (closeness × hand size)); the background takes the
 * rest. */
int responsibility_closeness(const Scene *scene, double closeness, float *map /* H×W×(N+1) */);

#endif
