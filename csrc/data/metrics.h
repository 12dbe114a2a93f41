/* What the evaluator counts and measures: overlaps, overlaps at every threshold at once, bootstrap intervals,
 * contact pixels, and the maps behind them (resampling, cosines, discs). Maps are float H×W, masks uint8 H×W
 * (nonzero: in). Nothing here knows of clips, queries or files. Counts are integers, so results do not depend
 * on threads. */
#ifndef DATA_METRICS_H
#define DATA_METRICS_H

#include <stdint.h>

/* Pixels in both (`inter`) and in either (`uni`) of two masks of n pixels, those of `ignore` (may be NULL)
 * left out. */
void metrics_overlap(const uint8_t *a, const uint8_t *b, const uint8_t *ignore, long n, long *inter,
                     long *uni);

/* iou[i*n2 + j] of the mask (first > t1[i]) and (second > t2[j]) against `truth`, for ascending thresholds;
 * `ignore` as above. `second` may be NULL with n2 = 1. One pass over the pixels: 2-D histograms, then
 * cumulative sums. Two empty masks agree (1). 0 with a message when memory is short. */
int metrics_table(const float *first, const float *second, const uint8_t *truth, const uint8_t *ignore,
                  long n, const double *t1, int n1, const double *t2, int n2, float *iou);

/* out = (first > t1) and (second > t2); `second` may be NULL. */
void metrics_over(const float *first, double t1, const float *second, double t2, long n, uint8_t *out);

/* 95 % interval by drawing groups (clips) with replacement: each draw pools sums and counts of as many groups
 * as there are and takes sum / count; draws without any count are skipped. Percentiles 2.5 and 97.5,
 * interpolated linearly; *p: how likely so many draws lie on one side of 0 by chance, of both sides (twice the
 * smaller share). 0 with a message when there is nothing to draw from or memory is short. */
int metrics_bootstrap(const double *sums, const double *counts, int groups, int draws, uint64_t seed,
                      double *low, double *high, double *p);

/* Contact: pixels of either mask at most `reach` × the diagonal of the hand mask's bounding box away from the
 * other mask. out: H×W, 0/1; empty when a mask is empty. 0 with a message when memory is short. */
int metrics_contact(const uint8_t *hand, const uint8_t *object, long height, long width, double reach,
                    uint8_t *out);

/* Bilinear: dst (H×W) pixel (x, y) reads src (its rows `stride` apart) at ((x+½)·scale − ½, (y+½)·scale − ½),
 * clamped to its first columns×rows: the part that the image covers, which leaves padding out. */
int metrics_resize(const float *src, long stride, long columns, long rows, double scale, float *dst,
                   long height, long width);

/* out[p] = map[p]·vector over n pixels of C channels; with `cosine` divided by both lengths (0 where one is
 * 0). */
int metrics_project(const float *map, long n, long channels, const float *vector, int cosine, float *out);

/* out[y, x] = −(distance of (x, y) to the centre) / width: a disc is what lies over −radius / width. */
void metrics_disc(double x, double y, long height, long width, float *out);

/* Adds to sum (C) up to `count` vectors of map (n×C) at pixels drawn without replacement among those with the
 * label; each is divided by its length when `normalise`. Returns how many were added, −1 with a message. */
long metrics_sample(const float *map, const int32_t *label, long n, long channels, int which, long count,
                    uint64_t seed, uint64_t stream, int normalise, double *sum);

#endif
