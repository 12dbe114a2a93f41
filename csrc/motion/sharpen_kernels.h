/* The steps of sharpening, which every device computes in its own way, and what they share. What the colours of an
 * image are learned from (mixture.h) is the host's. */
#ifndef MOTION_SHARPEN_KERNELS_H
#define MOTION_SHARPEN_KERNELS_H

#include "motion/mixture.h"
#include "motion/prior_kernels.h"

#include <stdint.h>

typedef struct Device Device;

/* Chosen on the annotated real clips and the generated world. */
static const float sharpen_limit = 4; /* of what a colour says, in log odds */
static const float sharpen_weight = 2,
                   sharpen_middle = 0.6f; /* of what the map says; where it says nothing */

BODY float sharpen_odds(float r) { return logf((r + 0.01f) / (1.01f - r)); }

/* What a pixel is by its colour and the map's word, and how far that is to be trusted. */
BODY void sharpen_score(const Mixture *in, const Mixture *out, const float *colour, float map, float *q,
                        float *trust) {
  float says = mixture_log(in, colour) - mixture_log(out, colour);
  says = says < -sharpen_limit ? -sharpen_limit : says > sharpen_limit ? sharpen_limit : says;
  *q = 1 / (1 + expf(-says - sharpen_weight * (sharpen_odds(map) - sharpen_odds(sharpen_middle))));
  *trust = 0.05f + fabsf(2 * *q - 1);
}

/* The background takes what the hands leave; what is given twice is shared. */
BODY void sharpen_share(float *pixel, int hands) {
  float sum = 0;
  for (int k = 0; k < hands; k++) sum += pixel[k];
  for (int k = 0; k < hands && sum > 1; k++) pixel[k] /= sum;
  pixel[hands] = sum < 1 ? 1 - sum : 0;
}

/* An image of which the first h x w pixels are the content, rows of `row` pixels. */
typedef struct Content {
  long h, w, row;
} Content;

/* Steps on a device; pointers are its memory's, planes h x w floats of the content. Each returns 1, or 0 with a
 * message. */
typedef struct SharpenKernels {
  PriorKernels prior;
  int (*colours)(Device *, const Content *c, const uint8_t *image, float *colours /* h x w x 3 */);
  /* A channel of a map into a plane, and back, limited to 0 .. 1. */
  int (*take)(Device *, const Content *c, const float *map, int channels, int k, float *plane);
  int (*put)(Device *, const Content *c, const float *plane, int channels, int k, float *map);
  int (*score)(Device *, long pixels, const Mixture *in, const Mixture *out, const float *colours,
               const float *map, float *q, float *trust);
  /* smooth_mask, with so many floats to work with. */
  long (*work)(long h, long w);
  int (*smooth)(Device *, const float *colours, long h, long w, const float *q, const float *trust,
                float smoothness, float *p, float *work);
  int (*share)(Device *, long pixels, int hands, float *map);
} SharpenKernels;

extern const SharpenKernels sharpen_cpu;

#endif
