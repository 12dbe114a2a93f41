/* Overlaps of masks, overlaps at every pair of thresholds in one pass, bootstrap intervals. The threshold
 * search is exact: a pixel's bin is the number of thresholds below its value, found by a table of starts and
 * a short walk, with the same comparison (double, strict) that metrics_over makes. */
#include "data/metrics.h"

#include "core/error.h"
#include "core/pool.h"
#include "core/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = 1024, PART = 1 << 16, PARTS_MAX = 16 };

void metrics_overlap(const uint8_t *a, const uint8_t *b, const uint8_t *ignore, long n, long *inter,
                     long *uni) {
  long both = 0, either = 0;
  for (long i = 0; i < n; i++) {
    int live = !(ignore && ignore[i]);
    both += live & (a[i] && b[i]);
    either += live & (a[i] || b[i]);
  }
  *inter = both, *uni = either;
}

/* Thresholds with a table that tells, for a cell of values, a bin not above the right one. */
typedef struct Scale {
  const double *t;
  int n;
  double low, cells; /* cells per unit */
  int start[CELLS];
} Scale;

static void scale_start(Scale *s, const double *t, int n) {
  double range = n ? t[n - 1] - t[0] : 0;
  s->t = t, s->n = n, s->low = n ? t[0] : 0, s->cells = range > 0 ? CELLS / range : 0;
  for (int c = 0, bin = 0; c < CELLS; c++) { /* the edge of the cell before: rounding cannot overshoot */
    double edge = s->cells > 0 ? s->low + (c - 1) / s->cells : -INFINITY;
    while (bin < n && t[bin] < edge) bin++;
    s->start[c] = bin;
  }
}

/* How many thresholds lie below v; 0 for NaN. */
static int scale_bin(const Scale *s, double v) {
  double c = (v - s->low) * s->cells;
  int cell = c > 0 ? (c < CELLS - 1 ? (int)c : CELLS - 1) : 0;
  int bin = s->start[cell];
  if (isnan(v)) return 0;
  while (bin < s->n && v > s->t[bin]) bin++;
  return bin;
}

typedef struct Job {
  const float *first, *second;
  const uint8_t *truth, *ignore;
  long n, part;
  Scale a, b;
  long cells;      /* bins of both scales: (n1+1)(n2+1) */
  uint32_t *count; /* parts × 2 × cells: pixels off, on the truth */
} Job;

static int count_part(void *arg, long part) {
  Job *job = arg;
  uint32_t *off = job->count + part * 2 * job->cells, *on = off + job->cells;
  long end = (part + 1) * job->part < job->n ? (part + 1) * job->part : job->n;
  int columns = job->b.n + 1;
  for (long i = part * job->part; i < end; i++) {
    if (job->ignore && job->ignore[i]) continue;
    int row = scale_bin(&job->a, job->first[i]);
    int column = job->second ? scale_bin(&job->b, job->second[i]) : job->b.n;
    (job->truth[i] ? on : off)[row * columns + column]++;
  }
  return 1;
}

/* Turns counts per bin into counts of "bin or higher" in both directions. */
static void accumulate(uint32_t *count, int rows, int columns) {
  for (int r = 0; r < rows; r++)
    for (int c = columns - 2; c >= 0; c--) count[r * columns + c] += count[r * columns + c + 1];
  for (int r = rows - 2; r >= 0; r--)
    for (int c = 0; c < columns; c++) count[r * columns + c] += count[(r + 1) * columns + c];
}

int metrics_table(const float *first, const float *second, const uint8_t *truth, const uint8_t *ignore,
                  long n, const double *t1, int n1, const double *t2, int n2, float *iou) {
  Job *job = calloc(1, sizeof *job);
  if (!job) return fail("thresholds: expected memory for a search, found none");
  *job = (Job){.first = first, .second = second, .truth = truth, .ignore = ignore, .n = n};
  scale_start(&job->a, t1, n1);
  scale_start(&job->b, t2, second ? n2 : 0);
  int rows = n1 + 1, columns = job->b.n + 1;
  job->cells = (long)rows * columns;
  job->part = n / PARTS_MAX + 1 > PART ? n / PARTS_MAX + 1 : PART;
  long parts = n ? (n + job->part - 1) / job->part : 1;
  job->count = calloc((size_t)(parts * 2 * job->cells), sizeof *job->count);
  int ok = job->count != NULL ||
           fail("thresholds: expected memory for %ld counts, found none", parts * 2 * job->cells);
  if (ok && n) ok = parallel(parts, count_part, job);
  if (ok) {
    uint32_t *off = job->count, *on = off + job->cells;
    for (long i = 2 * job->cells; i < parts * 2 * job->cells; i++) off[i % (2 * job->cells)] += off[i];
    accumulate(off, rows, columns);
    accumulate(on, rows, columns);
    for (int i = 0; i < n1; i++) /* bin i+1 or higher: value > t[i] */
      for (int j = 0; j < n2; j++) {
        long at = (long)(i + 1) * columns + (second ? j + 1 : 0);
        uint32_t uni = on[0] + off[at]; /* all of the truth, and what is predicted beside it */
        iou[i * n2 + j] = uni ? (float)((double)on[at] / uni) : 1;
      }
  }
  free(job->count);
  free(job);
  return ok;
}

void metrics_over(const float *first, double t1, const float *second, double t2, long n, uint8_t *out) {
  for (long i = 0; i < n; i++) out[i] = first[i] > t1 && (!second || second[i] > t2);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The value below which a share of the sorted numbers lies, between neighbours linearly. */
static double percentile(const double *sorted, int n, double share) {
  double at = share * (n - 1);
  int i = (int)at;
  return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

int metrics_bootstrap(const double *sums, const double *counts, int groups, int draws, uint64_t seed,
                      double *low, double *high, double *p) {
  double total = 0;
  for (int g = 0; g < groups; g++) total += counts[g];
  if (!(total > 0) || draws < 1)
    return fail("interval: expected at least one value and one draw, found none");
  double *means = malloc((size_t)draws * sizeof *means);
  if (!means) return fail("interval: expected memory for %d draws, found none", draws);
  Random random;
  random_start(&random, seed, 0);
  int n = 0;
  while (n == 0) /* only a tiny share of draws has no count at all, so this ends */
    for (int d = 0; d < draws; d++) {
      double sum = 0, count = 0;
      for (int g = 0; g < groups; g++) {
        long k = random_below(&random, groups);
        sum += sums[k], count += counts[k];
      }
      if (count > 0) means[n++] = sum / count;
    }
  qsort(means, (size_t)n, sizeof *means, ascending);
  *low = percentile(means, n, 0.025), *high = percentile(means, n, 0.975);
  int below = 0, above = 0; /* ties at 0 speak against a difference */
  for (int d = 0; d < n; d++) below += means[d] <= 0, above += means[d] >= 0;
  *p = fmin(1, 2.0 * (1 + (below < above ? below : above)) / (n + 1));
  free(means);
  return 1;
}
