/* The steps of sharpening (motion/sharpen_kernels.h): their launchers on the device's stream. */
#include "cuda/motion.h"

#include "cuda/kernels/prior.h"
#include "cuda/kernels/sharpen.h"

static int colours(Device *d, const Content *c, const uint8_t *image, float *out) {
  return sharpen_colours_on(motion_stream(d), c, image, out);
}
static int take(Device *d, const Content *c, const float *map, int channels, int k, float *plane) {
  return sharpen_take_on(motion_stream(d), c, map, channels, k, plane);
}
static int put(Device *d, const Content *c, const float *plane, int channels, int k, float *map) {
  return sharpen_put_on(motion_stream(d), c, plane, channels, k, map);
}
static int score(Device *d, long pixels, const Mixture *in, const Mixture *out, const float *colour,
                 const float *map, float *q, float *trust) {
  return sharpen_score_on(motion_stream(d), pixels, in, out, colour, map, q, trust);
}
static int smooth(Device *d, const float *colour, long h, long w, const float *q, const float *trust,
                  float smoothness, float *p, float *work) {
  return sharpen_smooth_on(motion_stream(d), colour, h, w, q, trust, smoothness, p, work);
}
static int share(Device *d, long pixels, int hands, float *map) {
  return sharpen_share_on(motion_stream(d), pixels, hands, map);
}

static int place(Device *d, const Priors *p, const PriorHand *h, bool claim) {
  return prior_place_on(motion_stream(d), p, h, claim);
}
static int ground(Device *d, const Priors *p, const PriorHand *h) {
  return prior_ground_on(motion_stream(d), p, h);
}
static int weigh(Device *d, const Priors *p, const PriorHand *h) {
  return prior_weigh_on(motion_stream(d), p, h);
}
static int rest(Device *d, long pixels, int hands, float *map) {
  return prior_rest_on(motion_stream(d), pixels, hands, map);
}

const SharpenKernels cuda_sharpen = {.prior = {place, ground, weigh, rest},
                                     .colours = colours,
                                     .take = take,
                                     .put = put,
                                     .score = score,
                                     .work = sharpen_work_on,
                                     .smooth = smooth,
                                     .share = share};
