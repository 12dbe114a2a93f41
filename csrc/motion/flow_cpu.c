/* The steps of the flow on the CPU: cut into chunks for the thread pool. Searches run in rows of patches that are
 * cut by the images' size alone, once with cuts at multiples of FLOW_ROWS and once half of that later, so that
 * displacements spread over the cuts too. */
#include "core/bilinear.h"
#include "core/pool.h"
#include "motion/flow_parts.h"

enum { ROWS = 24 }; /* of pixels, of a chunk */

/* A field at a point, bilinear, clamped. */
static void field_at(const FlowField *f, float x, float y, float *u, float *v) {
  x = x > 0 ? x : 0;
  y = y > 0 ? y : 0;
  long ix = (long)x < f->w - 1 ? (long)x : f->w - 1, iy = (long)y < f->h - 1 ? (long)y : f->h - 1;
  Bilinear b = bilinear_at(ix, iy, x - (float)ix, y - (float)iy, f->w, f->h, f->stride);
  *u = bilinear_floats(&b, f->u, 1);
  *v = bilinear_floats(&b, f->v, 1);
}

static int start(Device *d, const FlowSearch *s, const FlowField *coarse) {
  const float middle = 0.5f * (FLOW_PATCH - 1);
  for (long r = 0; r < s->rows; r++)
    for (long c = 0; c < s->cols; c++) {
      float u = 0, v = 0, x = (float)flow_place(c, s->a->w) + middle,
            y = (float)flow_place(r, s->a->h) + middle;
      if (coarse) field_at(coarse, 0.5f * (x - 0.5f), 0.5f * (y - 0.5f), &u, &v);
      s->u[r * s->cols + c] = 2 * u;
      s->v[r * s->cols + c] = 2 * v;
    }
  return (void)d, 1;
}

static int forward_chunk(void *arg, long chunk) {
  const FlowSearch *s = arg;
  long first = chunk * FLOW_ROWS, last = first + FLOW_ROWS;
  ISA_PICK(flow_search)(s, first, last < s->rows ? last : s->rows, 0);
  return 1;
}

static int backward_chunk(void *arg, long chunk) {
  const FlowSearch *s = arg;
  long first = chunk * FLOW_ROWS - FLOW_ROWS / 2, last = first + FLOW_ROWS;
  ISA_PICK(flow_search)(s, first > 0 ? first : 0, last < s->rows ? last : s->rows, 1);
  return 1;
}

static int search(Device *d, const FlowSearch *s) {
  (void)d;
  return parallel((s->rows + FLOW_ROWS - 1) / FLOW_ROWS, forward_chunk, (void *)s) &&
         parallel((s->rows + FLOW_ROWS / 2 + FLOW_ROWS - 1) / FLOW_ROWS, backward_chunk, (void *)s);
}

typedef struct Densify {
  const FlowSearch *search;
  const FlowField *field;
  float *weight;
} Densify;

static int densify_chunk(void *arg, long chunk) {
  const Densify *j = arg;
  long first = chunk * ROWS, last = first + ROWS;
  ISA_PICK(flow_densify)(j->search, j->field, j->weight, first, last < j->field->h ? last : j->field->h);
  return 1;
}

static int densify(Device *d, const FlowSearch *s, const FlowField *field, float *weight) {
  Densify job = {s, field, weight};
  return (void)d, parallel((field->h + ROWS - 1) / ROWS, densify_chunk, &job);
}

typedef struct Finish {
  const FlowField *field;
  int enlarge;
  long h, w;
  float *out;
} Finish;

static int finish_chunk(void *arg, long chunk) {
  const Finish *f = arg;
  const FlowField *field = f->field;
  const long last = (chunk + 1) * ROWS < f->h ? (chunk + 1) * ROWS : f->h;
  float *local = scratch(0, 2 * (size_t)(field->w + 2) * sizeof *local);
  if (!local) return 0;
  for (long y = chunk * ROWS; y < last; y++) {
    float *out = f->out + 2 * y * f->w;
    if (f->enlarge) ISA_PICK(flow_enlarge_row)(field, y, f->w, out, local);
    for (long x = 0; !f->enlarge && x < f->w; x++) {
      out[2 * x] = field->u[y * field->stride + x];
      out[2 * x + 1] = field->v[y * field->stride + x];
    }
  }
  return 1;
}

static int finish(Device *d, const FlowField *field, int enlarge, long h, long w, float *const *flows) {
  Finish job = {field, enlarge, h, w, flows[0]};
  return (void)d, parallel((h + ROWS - 1) / ROWS, finish_chunk, &job);
}

const FlowKernels flow_cpu = {.together = 1,
                              .grey = flow_grey,
                              .halve = flow_halve,
                              .slopes = flow_slopes,
                              .start = start,
                              .search = search,
                              .densify = densify,
                              .refine_floats = flow_refine_floats,
                              .refine = flow_refine,
                              .finish = finish,
                              .check = flow_check_pixels};
