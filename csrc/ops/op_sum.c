/* sum, mean, var, and the sums that broadcasting's gradients need. A reduction sees its input as outer x
 * reduced x inner; sums are kept in double. Chunks depend on those three sizes alone, so the order of
 * summation does too. */
#include "ops/op_kit.h"

#include "ops/bodies_sum.h"
#include "ops/sum_sizes.h"

enum { COLUMNS = 1024, ELEMENTS = 1 << 15, PARTS = 64 };

typedef struct SumJob {
  long outer, reduced, inner;
  long blocks, parts, part, group; /* column blocks, row parts, rows a part, outers a chunk */
  const real *x;
  real *y;
  double *partial, scale; /* partial: parts x outer x inner, when there are several parts */
  bool add;
} SumJob;

static void sum_piece(const SumJob *j, long o, long block, long part) {
  double acc[COLUMNS];
  long i = block * COLUMNS, n = least(COLUMNS, j->inner - i), r = part * j->part,
       rows = least(j->part, j->reduced - r);
  const real *x = j->x + (o * j->reduced + r) * j->inner + i;
  memset(acc, 0, (size_t)n * sizeof *acc);
  if (j->inner == 1)
    acc[0] = HOT_CALL(sum_row, rows, x);
  else
    HOT_CALL(sum_rows, rows, n, j->inner, x, acc);
  long at = o * j->inner + i;
  if (j->parts > 1)
    memcpy(j->partial + part * j->outer * j->inner + at, acc, (size_t)n * sizeof *acc);
  else
    for (long k = 0; k < n; k++)
      j->y[at + k] = (real)((j->add ? (double)j->y[at + k] : 0) + j->scale * acc[k]);
}

static int sum_chunk(void *arg, long chunk) {
  const SumJob *j = arg;
  long part = chunk % j->parts, block = chunk / j->parts % j->blocks,
       first = chunk / j->parts / j->blocks * j->group;
  for (long o = first; o < least(first + j->group, j->outer); o++) sum_piece(j, o, block, part);
  return 1;
}

int REALNAME(sum_middle)(Call *c, const real *x, long outer, long reduced, long inner, double scale, real *y,
                         bool add) {
  SumJob j = {.outer = outer, .reduced = reduced, .inner = inner, .x = x, .y = y, .scale = scale, .add = add};
  if (!outer || !inner) return 1;
  j.blocks = (inner + COLUMNS - 1) / COLUMNS;
  j.part = reduced ? reduced : 1;
  if (outer * j.blocks < PARTS) {
    long rows = ELEMENTS / least(inner, COLUMNS), even = (reduced + PARTS - 1) / PARTS;
    j.part = rows > even ? rows : even;
  }
  j.parts = reduced > j.part ? (reduced + j.part - 1) / j.part : 1;
  long piece = least(inner, COLUMNS) * least(j.part, reduced + 1);
  j.group = j.parts == 1 && piece < ELEMENTS ? (ELEMENTS + piece - 1) / piece : 1;
  size_t bytes = (size_t)(j.parts * outer * inner) * sizeof(double);
  if (j.parts > 1 && !(j.partial = call_scratch(c, bytes))) return 0;
  int ok = parallel((outer + j.group - 1) / j.group * j.blocks * j.parts, sum_chunk, &j);
  if (ok && j.parts > 1)
    for (long k = 0, n = outer * inner; k < n; k++) {
      double total = 0;
      for (long p = 0; p < j.parts; p++) total += j.partial[p * n + k];
      y[k] = (real)((add ? (double)y[k] : 0) + scale * total);
    }
  call_drop(c, j.partial);
  return ok;
}

/* One run of repeated dimensions is summed at a time; what is left is a smaller tensor. */
int REALNAME(sum_to)(Call *c, const real *x, int rank, const long *shape, const Tensor *t, real *y,
                     bool add) {
  SumTo s;
  real *temporary = NULL;
  int ok = 1;
  sum_to_start(&s, rank, shape, t);
  for (bool more = true; ok && more;) {
    more = sum_to_next(&s);
    real *next = more ? call_scratch(c, (size_t)(s.outer * s.inner) * sizeof(real)) : y;
    ok = next && REALNAME(sum_middle)(c, x, s.outer, s.reduced, s.inner, 1, next, more ? false : add);
    call_drop(c, temporary);
    temporary = more ? next : NULL;
    x = next;
  }
  call_drop(c, temporary);
  return ok;
}

/* ---- the ops ---- */
static int reduce_shape(Call *c) {
  const Tensor *t = c->in[0];
  long shape[RANK_MAX];
  int rank = 0;
  if (!want_real(c, 0)) return 0;
  int d = c->arg[0].given ? axis(c, 0, t->rank) : -1;
  if (c->arg[0].given && d < 0) return 0;
  for (int k = 0; k < t->rank; k++)
    if (d >= 0 && k != d)
      shape[rank++] = t->shape[k];
    else if (c->arg[1].n != 0)
      shape[rank++] = 1;
  return call_out(c, 0, c->dtype, rank, shape);
}

static int sum_scaled(Call *c, bool mean) {
  SumSizes s = sum_sizes(c);
  real *y = output(c, 0);
  return y && REALNAME(sum_middle)(c, input(c, 0), s.outer, s.reduced, s.inner,
                                   mean ? 1 / (double)s.reduced : 1, y, false);
}

/* dx = scale dy, or for var scale dy (x - mean), repeated along the reduced dimension. */
typedef struct GroupedJob {
  SumSizes s;
  const real *dy, *x, *mean;
  real *g, scale;
  bool add;
} GroupedJob;

static int spread_chunk(void *arg, long chunk) {
  const GroupedJob *j = arg;
  long total = j->s.outer * j->s.reduced * j->s.inner, at = chunk * ELEMENTS,
       end = least(at + ELEMENTS, total);
  for (; at < end;) {
    long row = at / j->s.inner, i = at % j->s.inner, n = least(j->s.inner - i, end - at);
    long o = row / j->s.reduced * j->s.inner + i;
    if (j->s.inner == 1) n = least(j->s.reduced - row % j->s.reduced, end - at);
    long step = j->s.inner > 1;
    for (long k = 0; k < n; k++) {
      real g = j->scale * j->dy[o + k * step];
      if (j->x) g *= j->x[at + k] - j->mean[o + k * step];
      j->g[at + k] = (j->add ? j->g[at + k] : 0) + g;
    }
    at += n;
  }
  return 1;
}

static int spread(Call *c, double scale, const real *x, const real *mean) {
  GroupedJob j = {.s = sum_sizes(c), .dy = grad_out(c, 0), .x = x, .mean = mean, .scale = (real)scale};
  if (!j.dy) return 1;
  if (!(j.g = call_grad(c, 0, &j.add))) return 0;
  return parallel((c->in[0]->size + ELEMENTS - 1) / ELEMENTS, spread_chunk, &j);
}

static int sum_forward(Call *c) { return sum_scaled(c, false); }
static int sum_backward(Call *c) { return spread(c, 1, NULL, NULL); }
static int mean_forward(Call *c) { return sum_scaled(c, true); }
static int mean_backward(Call *c) { return spread(c, 1 / (double)sum_sizes(c).reduced, NULL, NULL); }

typedef struct VarJob {
  SumSizes s;
  const real *x, *mean;
  real *y;
  double divisor;
} VarJob;

static int var_chunk(void *arg, long at) {
  const VarJob *j = arg;
  long o = at / j->s.inner, i = at % j->s.inner;
  const real *x = j->x + o * j->s.reduced * j->s.inner + i;
  double sum = 0, mean = (double)j->mean[at];
  if (j->s.inner == 1)
    sum = HOT_CALL(square_row, j->s.reduced, x, mean);
  else
    for (long r = 0; r < j->s.reduced; r++) {
      double d = (double)x[r * j->s.inner] - mean;
      sum += d * d;
    }
  j->y[at] = (real)(sum / j->divisor);
  return 1;
}

static int var_forward(Call *c) {
  SumSizes s = sum_sizes(c);
  Tensor *mean = call_save_new(c, 0, c->dtype, c->out[0]->rank, c->out[0]->shape);
  real *m = mean ? tensor_write(mean) : NULL, *y = output(c, 0);
  if (!m || !y) return 0;
  VarJob j = {s, input(c, 0), m, y, var_freedom(c, s.reduced)};
  return REALNAME(sum_middle)(c, j.x, s.outer, s.reduced, s.inner, 1 / (double)s.reduced, m, false) &&
         parallel(s.outer * s.inner, var_chunk, &j);
}

static int var_backward(Call *c) {
  return spread(c, 2 / var_freedom(c, sum_sizes(c).reduced), input(c, 0), saved(c, 0));
}

static const struct {
  int rank, dim; /* dim 0: all */
  long shape[4];
} samples[] = {
    {2, 0, {3, 4}},       {3, 2, {2, 3, 4}}, {3, -1, {2, 3, 5}}, {3, 1, {4, 2, 3}},
    {4, 3, {2, 1, 3, 2}}, {1, 1, {6}},       {1, 0, {2}},
};

static int reduce_sample(Call *c, Random *r, int variant) {
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  if (!sample_input(c, 0, r, samples[variant].rank, samples[variant].shape)) return 0;
  if (samples[variant].dim) sample_arg(c, 0, samples[variant].dim);
  sample_arg(c, 1, variant % 2);
  return 1;
}

static int sum_sample(Call *c, Random *r, int variant) {
  int extra = variant - (int)(sizeof samples / sizeof *samples);
  if (extra == 0) return sample_input(c, 0, r, 2, SHAPE(0, 3)); /* an empty sum is 0 */
  if (extra == 1) return sample_input(c, 0, r, 0, NULL);
  return reduce_sample(c, r, variant);
}

#define ARGS "input dim:int=none keepdim=false"
DESCRIPTOR op_sum = {.name = "sum",
                     .args = ARGS,
                     .doc = "sum over one dimension, or over all",
                     .shape = reduce_shape,
                     .sample = sum_sample,
                     .shape_only = 1};
const Kernel REALNAME(cpu_sum) = {.forward = sum_forward, .backward = sum_backward};
DESCRIPTOR op_mean = {.name = "mean",
                      .args = ARGS,
                      .doc = "mean over one dimension, or over all",
                      .shape = reduce_shape,
                      .sample = reduce_sample,
                      .shape_only = 1};
const Kernel REALNAME(cpu_mean) = {.forward = mean_forward, .backward = mean_backward};
DESCRIPTOR op_var = {
    .name = "var",
    .args = ARGS " unbiased=true",
    .doc = "variance over one dimension, or over all; divided by n - 1, or by n unless unbiased",
    .shape = reduce_shape,
    .sample = reduce_sample};
const Kernel REALNAME(cpu_var) = {.forward = var_forward, .backward = var_backward};
