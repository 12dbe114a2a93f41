/* The steps of optical flow (motion/flow_kernels.h): their launchers on the device's stream. */
#include "cuda/motion.h"

#include "cuda/kernels/flow.h"

static int grey(Device *d, const uint8_t *const *images, int channels, const FlowImage *out) {
  return flow_grey_on(motion_stream(d), images, channels, out);
}
static int halve(Device *d, const FlowImage *in, const FlowImage *out) {
  return flow_halve_on(motion_stream(d), in, out);
}
static int slopes(Device *d, const FlowImage *in, const FlowImage *x, const FlowImage *y) {
  return flow_slopes_on(motion_stream(d), in, x, y);
}
static int start(Device *d, const FlowSearch *s, const FlowField *coarse) {
  return flow_start_on(motion_stream(d), s, coarse);
}
static int search(Device *d, const FlowSearch *s) { return flow_search_on(motion_stream(d), s); }
static int densify(Device *d, const FlowSearch *s, const FlowField *field, float *weight) {
  return (void)weight, flow_densify_on(motion_stream(d), s, field);
}
static int refine(Device *d, const FlowImage *a, const FlowImage *b, const FlowField *field, float *block) {
  return flow_refine_on(motion_stream(d), a, b, field, block);
}
static int finish(Device *d, const FlowField *field, int enlarge, long h, long w, float *const *flows) {
  return flow_finish_on(motion_stream(d), field, enlarge, h, w, flows);
}
static int check(Device *d, const float *forward, const float *backward, long h, long w, float a, float b,
                 uint8_t *valid) {
  return flow_check_on(motion_stream(d), forward, backward, h, w, a, b, valid);
}

const FlowKernels cuda_flow = {.together = FLOW_TOGETHER,
                               .grey = grey,
                               .halve = halve,
                               .slopes = slopes,
                               .start = start,
                               .search = search,
                               .densify = densify,
                               .refine_floats = flow_refine_floats_on,
                               .refine = refine,
                               .finish = finish,
                               .check = check};
