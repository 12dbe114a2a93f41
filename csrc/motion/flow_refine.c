/* The refinement of one level: cuts its steps into chunks of rows. */
#include "core/pool.h"
#include "motion/flow_parts.h"

enum {
  PLANES = 20, /* of FlowRefine */
  MARGIN = 16, /* floats beside a half row */
  OUTER = 5,   /* linear systems per level */
  ROWS = 16,   /* of a chunk of the pointwise steps */
  BAND = 48,   /* rows of a chunk of the relaxation, which works on FLOW_SWEEPS more on both sides */
};

static long half_floats(long w) { return ((w + 1) / 2 + 15) / 16 * 16 + MARGIN; }

static long plane_floats(long h, long w) { return (h + 2) * 2 * half_floats(w) + 2 * MARGIN; }

long flow_refine_floats(long h, long w) { return PLANES * plane_floats(h, w) + 3 * flow_image_floats(h, w); }

typedef struct Job {
  const FlowRefine *f;
  long rows;
  void (*step)(const FlowRefine *f, long first, long last, float *local);
  long floats; /* of scratch */
} Job;

static int chunk_of(void *arg, long chunk) {
  const Job *job = arg;
  float *local = scratch(0, (size_t)job->floats * sizeof *local);
  if (!local) return 0;
  const long first = chunk * job->rows, last = first + job->rows < job->f->h ? first + job->rows : job->f->h;
  job->step(job->f, first, last, local);
  return 1;
}

static int run(const FlowRefine *f, long rows, long floats,
               void (*step)(const FlowRefine *, long, long, float *)) {
  Job job = {f, rows, step, floats};
  return parallel((f->h + rows - 1) / rows, chunk_of, &job);
}

static void difference(const FlowRefine *f, long first, long last, float *unused) {
  (void)unused;
  ISA_PICK(flow_difference)(f, first, last);
}

static void derivatives(const FlowRefine *f, long first, long last, float *unused) {
  (void)unused;
  ISA_PICK(flow_derivatives)(f, first, last);
}

static void join(const FlowRefine *f, long first, long last, float *unused) {
  (void)unused;
  ISA_PICK(flow_join)(f, first, last);
}

int flow_refine(const FlowImage *a, const FlowImage *b, const FlowField *field, float *block) {
  const long h = a->h, w = a->w, image = flow_image_floats(h, w);
  const FlowImage ax = flow_image_at(block, h, w), ay = flow_image_at(block + image, h, w);
  const FlowImage dt = flow_image_at(block + 2 * image, h, w);
  FlowRefine f = {.h = h, .w = w, .n = (w + 1) / 2, .half = half_floats(w), .stride = 2 * half_floats(w)};
  f.a = a, f.b = b, f.ax = &ax, f.ay = &ay, f.dt = &dt, f.field = *field;
  float **planes[PLANES] = {&f.p[0], &f.p[1], &f.p[2], &f.q[0], &f.q[1], &f.q[2], &f.r[0],
                            &f.r[1], &f.r[2], &f.a12,  &f.b1,   &f.b2,   &f.i1,   &f.i2,
                            &f.ex,   &f.ey,   &f.u,    &f.v,    &f.u2,   &f.v2};
  for (int i = 0; i < PLANES; i++)
    *planes[i] = block + 3 * image + i * plane_floats(h, w) + f.stride + MARGIN;
  if (!run(&f, ROWS, 1, difference) || !run(&f, ROWS, 1, derivatives)) return 0;
  if (!run(&f, ROWS, 9 * w, ISA_PICK(flow_equations))) return 0;
  for (int i = 0; i < OUTER; i++) {
    if (!run(&f, ROWS, 2 * f.stride + 1, ISA_PICK(flow_weights))) return 0;
    if (!run(&f, BAND, flow_relax_floats(&f, BAND), ISA_PICK(flow_relax))) return 0;
    float *u = f.u, *v = f.v;
    f.u = f.u2, f.v = f.v2, f.u2 = u, f.v2 = v;
  }
  return run(&f, ROWS, 1, join);
}
