/* Edge-aware smoothing of soft masks (Grady 2006, "Random Walks for Image Segmentation", with a prior). */
#ifndef MOTION_SMOOTH_H
#define MOTION_SMOOTH_H

enum { SMOOTH_SWEEPS = 40 };
static const float smooth_omega = 1.85f; /* over-relaxation */

/* Spreads q (0 to 1) over h x w pixels, but not over edges of the image: p minimises
 * sum trust (p - q)^2 + smooth sum k (p - p')^2 over neighbours with k = exp(-|c - c'|^2 / (2 mean |c -
 * c'|^2)). work: 3 h w floats. 0 on Ctrl-C. */
int smooth_mask(const float *colours /* h x w x 3 */, long h, long w, const float *q, const float *trust,
                float smooth, float *p, float *work);

#endif
