/* The steps of the flow, which every device computes in its own way, and what they share: images with borders,
 * the grid of patches, the constants of the method.
 *
 *   grey images ──> pyramid of FlowImage ──> per level, coarse to fine:
 *     FlowSearch   one displacement per patch (inverse search, propagation between neighbours)
 *     FlowField    one displacement per pixel (weighted mean of the patches over it), refined: smoothness
 *                  against brightness and gradient constancy, successive over-relaxation */
#ifndef MOTION_FLOW_KERNELS_H
#define MOTION_FLOW_KERNELS_H

#include "backend/each.h"

#include <stdint.h>

typedef struct Device Device;

enum {
  FLOW_PATCH = 8,    /* pixels, both ways: one vector of eight floats is one row of a patch */
  FLOW_STRIDE = 3,   /* between patches */
  FLOW_ROWS = 8,     /* of patches that are searched one after the other */
  FLOW_BORDER = 24,  /* repeated pixels around every image: searches reach 16 pixels beyond it */
  FLOW_SWEEPS = 10,  /* half sweeps of the over-relaxation per linear system: 5 red, 5 black */
  FLOW_TOGETHER = 8, /* flows from one image to others that a device computes at once, at most */
};

/* Of what there is for each of these flows: so many, each so many floats behind the one before. */
typedef struct FlowSeries {
  int count;
  long apart;
} FlowSeries;

/* h x w floats with FLOW_BORDER repeated pixels on every side: at[y * stride + x],
 * y and x may be negative. */
typedef struct FlowImage {
  long h, w, stride;
  float *at;
  FlowSeries series;
} FlowImage;

/* Images are views into one block: floats between rows, floats that an image of this size takes, and the image
 * placed at `block`. */
static inline long flow_image_stride(long w) { return (w + 2 * FLOW_BORDER + 15) / 16 * 16; }
static inline long flow_image_floats(long h, long w) { return (h + 2 * FLOW_BORDER) * flow_image_stride(w); }
static inline FlowImage flow_image_at(float *block, long h, long w) {
  long stride = flow_image_stride(w);
  FlowImage m = {h, w, stride, block + FLOW_BORDER * stride + FLOW_BORDER, {1, 0}};
  return m;
}

/* h x w displacements in two planes, rows of `stride` floats with room for a patch beyond w. */
typedef struct FlowField {
  long h, w, stride;
  float *u, *v;
  FlowSeries series;
} FlowField;

/* Of the search: descents per pass, of which there are two; what is added to the diagonal of a patch's matrix, so
 * that without texture it stays where it is; the share of a step that is taken (the full one overshoots where the
 * patch covers two motions); the squared length of the step that ends a descent. */
enum { FLOW_DESCENTS = 12 };
static const float flow_stiff = 1, flow_damping = 0.7f, flow_still = 1e-4f;

/* Of the refinement. Chosen on FlyingChairs pairs (and their mirror images), on composed pairs of real pictures
 * with known motion, and by the maps of real clips; grey values 0 to 255. */
enum { FLOW_SYSTEMS = 5 };                /* linear systems per level */
static const float flow_alpha = 20;       /* smoothness */
static const float flow_delta = 4;        /* constancy of brightness */
static const float flow_gamma = 10;       /* constancy of its derivatives */
static const float flow_epsilon2 = 1e-4f; /* the robust penalty is sqrt(x^2 + epsilon^2) */
static const float flow_zeta2 = 1;        /* keeps the division by the length of a gradient finite */
static const float flow_omega = 1.8f;     /* over-relaxation */

/* One level of the search: a grid of patches in a, each with a displacement into b. */
typedef struct FlowSearch {
  const FlowImage *a, *b, *ax, *ay; /* ax, ay: derivatives of a */
  long rows, cols;
  float *u, *v; /* rows x cols: in, where to start; out, what was found; a series like b */
} FlowSearch;

/* First pixel of patch i along a side of n pixels; the last one ends at the border. */
BODY long flow_place(long i, long n) {
  long p = i * FLOW_STRIDE, last = n > FLOW_PATCH ? n - FLOW_PATCH : 0;
  return p < last ? p : last;
}

/* Steps on a device, each for all of a series; pointers are its memory's. Each returns 1, or 0 with a message (Ctrl-C
 * too). */
typedef struct FlowKernels {
  int together; /* flows that are computed at once: 1 .. FLOW_TOGETHER */
  /* Images, border included: grey values of h x w x channels bytes (1 or 3); means of 2 x 2 ((h + 1) / 2 x
   * (w + 1) / 2); derivatives. */
  int (*grey)(Device *, const uint8_t *const *images, int channels, const FlowImage *out);
  int (*halve)(Device *, const FlowImage *in, const FlowImage *out);
  int (*slopes)(Device *, const FlowImage *in, const FlowImage *x, const FlowImage *y);
  /* Starts every patch with the coarser level's displacement of its centre (coarse NULL: with none). */
  int (*start)(Device *, const FlowSearch *s, const FlowField *coarse);
  /* Both passes over the patches, in chunks of FLOW_ROWS rows of them: forward, which takes over displacements
   * from the left and from above, then backward, from the right and from below, in chunks that begin half a
   * chunk earlier; within the chunk only. */
  int (*search)(Device *, const FlowSearch *s);
  int (*densify)(Device *, const FlowSearch *s, const FlowField *field, float *weight /* as large as u */);
  /* Refines the field in place, with so many floats at hand (a series like the field). */
  long (*refine_floats)(long h, long w);
  int (*refine)(Device *, const FlowImage *a, const FlowImage *b, const FlowField *field, float *block);
  /* The flows of h x w pixels from a field of that size, or of half of it (enlarge). */
  int (*finish)(Device *, const FlowField *field, int enlarge, long h, long w,
                float *const *flows /* h x w x 2 each */);
  /* As flow_check. */
  int (*check)(Device *, const float *forward, const float *backward, long h, long w, float a, float b,
               uint8_t *valid);
} FlowKernels;

extern const FlowKernels flow_cpu;

#endif
