/* Images for the flow: grey values, halves, derivatives, all with repeated borders; chunks of rows. The
 * pyramid halves exactly: pixel X of a half has its centre at 2X + 0.5 of the whole, an odd last pixel is
 * repeated. */
#include "core/pool.h"
#include "motion/flow_parts.h"

#include <string.h>

typedef struct Job {
  FlowRows rows;
  void (*row)(const FlowRows *r, long y);
} Job;

/* The border of row y, and the rows above or below the image that repeat it. */
static void close_row(const FlowImage *m, long y) {
  float *row = m->at + y * m->stride;
  for (long x = 1; x <= FLOW_BORDER; x++) {
    row[-x] = row[0];
    row[m->w - 1 + x] = row[m->w - 1];
  }
  const size_t bytes = (size_t)(m->w + 2 * FLOW_BORDER) * sizeof *row;
  for (long k = 1; y == 0 && k <= FLOW_BORDER; k++)
    memcpy(row - k * m->stride - FLOW_BORDER, row - FLOW_BORDER, bytes);
  for (long k = 1; y == m->h - 1 && k <= FLOW_BORDER; k++)
    memcpy(row + k * m->stride - FLOW_BORDER, row - FLOW_BORDER, bytes);
}

static int rows_chunk(void *arg, long chunk) {
  const Job *job = arg;
  const FlowImage *out = job->rows.out, *out2 = job->rows.out2;
  const long rows = flow_chunk_rows(out->w), first = chunk * rows;
  const long last = first + rows < out->h ? first + rows : out->h;
  for (long y = first; y < last; y++) {
    job->row(&job->rows, y);
    close_row(out, y);
    if (out2) close_row(out2, y);
  }
  return 1;
}

static int run(Job job) {
  const long rows = flow_chunk_rows(job.rows.out->w);
  return parallel((job.rows.out->h + rows - 1) / rows, rows_chunk, &job);
}

int flow_grey(Device *d, const uint8_t *const *images, int channels, const FlowImage *out) {
  return (void)d, run((Job){{.bytes = images[0], .channels = channels, .out = out}, ISA_PICK(flow_grey_row)});
}

int flow_halve(Device *d, const FlowImage *in, const FlowImage *out) {
  return (void)d, run((Job){{.in = in, .out = out}, ISA_PICK(flow_half_row)});
}

int flow_slopes(Device *d, const FlowImage *in, const FlowImage *x, const FlowImage *y) {
  return (void)d, run((Job){{.in = in, .out = x, .out2 = y}, ISA_PICK(flow_slope_row)});
}
