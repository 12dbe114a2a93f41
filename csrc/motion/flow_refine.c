/* The refinement of one level: cuts its steps into chunks of rows. */
#include "core/pool.h"
#include "motion/flow_parts.h"

enum {
  PLANES = 13, /* of FlowRefine */
  BAND = 48,   /* rows of a chunk of the relaxation, which works on FLOW_SWEEPS more on both sides */
};

static long half_floats(long w) { return ((w + 1) / 2 + 15) / 16 * 16 + FLOW_MARGIN; }

static long plane_floats(long h, long w) { return (h + 2) * 2 * half_floats(w) + 2 * FLOW_MARGIN; }

long flow_refine_floats(long h, long w) { return PLANES * plane_floats(h, w); }

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

static int run(Job job) { return parallel((job.f->h + job.rows - 1) / job.rows, chunk_of, &job); }

int flow_refine(Device *d, const FlowImage *a, const FlowImage *b, const FlowField *field, float *block) {
  (void)d;
  const long h = a->h, w = a->w, rows = flow_chunk_rows(w);
  FlowRefine f = {.h = h, .w = w, .n = (w + 1) / 2, .half = half_floats(w), .stride = 2 * half_floats(w)};
  f.a = a, f.b = b, f.field = *field;
  float **planes[PLANES] = {&f.p[0], &f.p[1], &f.p[2], &f.q[0], &f.q[1], &f.q[2], &f.r[0],
                            &f.r[1], &f.r[2], &f.u,    &f.v,    &f.u2,   &f.v2};
  for (int i = 0; i < PLANES; i++) *planes[i] = block + i * plane_floats(h, w) + f.stride + FLOW_MARGIN;
  if (!run((Job){&f, rows, ISA_PICK(flow_equations), flow_equations_floats(&f, rows)})) return 0;
  for (int i = 0; i < FLOW_SYSTEMS; i++) {
    if (!run((Job){&f, BAND, ISA_PICK(flow_relax), flow_relax_floats(&f)})) return 0;
    float *u = f.u, *v = f.v;
    f.u = f.u2, f.v = f.v2, f.u2 = u, f.v2 = v;
  }
  return run((Job){&f, rows, ISA_PICK(flow_join), 1});
}
