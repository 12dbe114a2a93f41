/* What the files of the flow share: images with borders, the grid of patches, the equations of the
 * refinement, and the kernels that are compiled once per instruction set.
 *
 *   grey images ──> pyramid of FlowImage ──> per level, coarse to fine:
 *     FlowSearch   one displacement per patch (inverse search, propagation between neighbours)
 *     FlowDense    one displacement per pixel (weighted mean of the patches over it)
 *     FlowRefine   smoothness against brightness and gradient constancy, successive over-relaxation  */
#ifndef MOTION_FLOW_PARTS_H
#define MOTION_FLOW_PARTS_H

#include "backend/isa.h"

#include <stdint.h>

enum {
  FLOW_PATCH = 8,   /* pixels, both ways: one vector of eight floats is one row of a patch */
  FLOW_STRIDE = 3,  /* between patches */
  FLOW_BORDER = 24, /* repeated pixels around every image: searches reach 16 pixels beyond it */
  FLOW_SWEEPS = 10, /* half sweeps of the over-relaxation per linear system: 5 red, 5 black */
  FLOW_RING = 16,   /* rows that relaxation keeps at hand: a power of two, at least FLOW_SWEEPS + 2 */
  FLOW_MARGIN = 16, /* floats beside a half row, and before the first */
};

/* h x w floats with FLOW_BORDER repeated pixels on every side: at[y * stride + x],
 * y and x may be negative. */
typedef struct FlowImage {
  long h, w, stride;
  float *at;
} FlowImage;

/* h x w displacements in two planes, rows of `stride` floats with room for a patch beyond w. */
typedef struct FlowField {
  long h, w, stride;
  float *u, *v;
} FlowField;

/* Rows of a chunk of a pointwise step: enough pixels to be worth a thread's waking, so that a small level is
 * one chunk. */
static inline long flow_chunk_rows(long w) { return w < 6144 / 16 ? 6144 / w : 16; }

/* What a step of the pyramid reads and writes. */
typedef struct FlowRows {
  const uint8_t *bytes; /* h x w x channels */
  int channels;
  const FlowImage *in, *out, *out2;
} FlowRows;

/* One level of the search: a grid of patches in a, each with a displacement into b. */
typedef struct FlowSearch {
  const FlowImage *a, *b, *ax, *ay; /* ax, ay: derivatives of a */
  long rows, cols;
  float *u, *v; /* rows x cols: in, where to start; out, what was found */
} FlowSearch;

/* First pixel of patch i along a side of n pixels; the last one ends at the border. */
static inline long flow_place(long i, long n) {
  long p = i * FLOW_STRIDE, last = n > FLOW_PATCH ? n - FLOW_PATCH : 0;
  return p < last ? p : last;
}

/* The refinement keeps every row in two halves, so that pixels of one colour of the chess board lie side by
 * side: colour c has x = 2k + parity with parity = (c + y) & 1. The right neighbour of place k is place k +
 * parity of the other colour, the left one k + parity - 1, those above and below are place k of the other
 * colour. A half has n = (w + 1) / 2 places and a margin on both sides; there is one row of margin above and
 * one below. */
typedef struct FlowRefine {
  long h, w, n, half, stride;
  const FlowImage *a, *b;
  FlowField field;           /* the flow to start from; the result at the end */
  float *p[3], *q[3], *r[3]; /* equations p u + q v + r = 0: brightness, its derivatives along x and y */
  float *u, *v, *u2, *v2;    /* the flow, and where relaxation puts the next one */
} FlowRefine;

/* Start of colour c in row y of a plane of the refinement. */
static inline long flow_half(const FlowRefine *f, long y, int c) { return y * f->stride + c * f->half; }

/* Before a loop in which no pass depends on another, so that the compiler may vectorise it. */
#ifdef __clang__
#define FLOW_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define FLOW_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Kernels (isa_flow_*.c) on rows [first, last); buffers belong to the caller. */
ISA_DECLARE(void, flow_search, const FlowSearch *s, long first, long last, int backward);
ISA_DECLARE(void, flow_densify, const FlowSearch *s, const FlowField *d, float *weight, long first,
            long last);
ISA_DECLARE(void, flow_equations, const FlowRefine *f, long first, long last,
            float *local /* see flow_equations_floats */);
ISA_DECLARE(void, flow_relax, const FlowRefine *f, long first, long last,
            float *local /* see flow_relax_floats */);
ISA_DECLARE(void, flow_join, const FlowRefine *f, long first, long last, float *unused);

/* Kernels on one row y of `out` (and out2), borders not touched. */
ISA_DECLARE(void, flow_grey_row, const FlowRows *r, long y);
ISA_DECLARE(void, flow_half_row, const FlowRows *r, long y);
ISA_DECLARE(void, flow_slope_row, const FlowRows *r, long y);
/* Row y of the whole image's flow (w pixels, interleaved) from a field of half its size; local: 2 (field->w +
 * 2). */
ISA_DECLARE(void, flow_enlarge_row, const FlowField *field, long y, long w, float *out, float *local);

/* Floats that flow_equations needs for a chunk of rows: three images with two rows more and a border on both
 * sides, and nine rows. */
static inline long flow_strip_floats(const FlowRefine *f, long rows) {
  return (rows + 6) * (f->w + 2 * FLOW_MARGIN);
}
static inline long flow_equations_floats(const FlowRefine *f, long rows) {
  return 3 * flow_strip_floats(f, rows) + 9 * f->w;
}

/* Floats that flow_relax needs: nine rings of rows. */
static inline long flow_relax_floats(const FlowRefine *f) { return 9 * FLOW_RING * f->stride + FLOW_MARGIN; }

/* flow_pyramid.c */

/* Images are views into one block: floats that an image of this size takes,
 * and the image placed at `block`. */
long flow_image_floats(long h, long w);
FlowImage flow_image_at(float *block, long h, long w);
/* Fill `out`, border included; 0 only on Ctrl-C. */
int flow_grey(const uint8_t *image, int channels, const FlowImage *out);
int flow_halve(const FlowImage *in,
               const FlowImage *out); /* means of 2 x 2; out: (h + 1) / 2 x (w + 1) / 2 */
int flow_slopes(const FlowImage *in, const FlowImage *x, const FlowImage *y);

/* flow_refine.c: floats that the refinement of an image of this size works with; the refinement of field in
 * place. */
long flow_refine_floats(long h, long w);
int flow_refine(const FlowImage *a, const FlowImage *b, const FlowField *field, float *block);

#endif
