/* What the CPU's files of the flow share: the equations of the refinement, and the loops that are compiled once
 * per instruction set. */
#ifndef MOTION_FLOW_PARTS_H
#define MOTION_FLOW_PARTS_H

#include "backend/isa.h"
#include "motion/flow_kernels.h"

#include <stdint.h>

enum {
  FLOW_RING = 16,   /* rows that relaxation keeps at hand: a power of two, at least FLOW_SWEEPS + 2 */
  FLOW_MARGIN = 16, /* floats beside a half row, and before the first */
};

/* Rows of a chunk of a pointwise step: enough pixels to be worth a thread's waking, so that a small level is
 * one chunk. */
static inline long flow_chunk_rows(long w) { return w < 6144 / 16 ? 6144 / w : 16; }

/* What a step of the pyramid reads and writes. */
typedef struct FlowRows {
  const uint8_t *bytes; /* h x w x channels */
  int channels;
  const FlowImage *in, *out, *out2;
} FlowRows;

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

/* Steps of flow_kernels.h, of whole images: flow_pyramid.c, flow_refine.c, flow_check.c. */
int flow_grey(Device *d, const uint8_t *const *images, int channels, const FlowImage *out);
int flow_halve(Device *d, const FlowImage *in, const FlowImage *out);
int flow_slopes(Device *d, const FlowImage *in, const FlowImage *x, const FlowImage *y);
long flow_refine_floats(long h, long w);
int flow_refine(Device *d, const FlowImage *a, const FlowImage *b, const FlowField *field, float *block);
int flow_check_pixels(Device *d, const float *forward, const float *backward, long h, long w, float a,
                      float b, uint8_t *valid);

#endif
