/* max, min, argmax, for real and integer tensors. Ties go to the first place; a NaN counts as the extreme, as
 * in NumPy. Over a dimension the place (int64, from 1) is a second output; the gradient goes to that place
 * alone. */
#include "ops/op_kit.h"

enum { MAX, MIN };

typedef struct MinmaxJob {
  int kind;
  Dtype dtype;
  long reduced, inner, group, count; /* group: outputs a chunk */
  const void *x;
  void *y;        /* NULL: places only */
  int64_t *place; /* from 1; NULL: values only */
} MinmaxJob;

#define MINMAX_OF(type)                                                                                      \
  {                                                                                                          \
    const type *x = (const type *)j->x + o * j->reduced * j->inner + i;                                      \
    type best = x[0];                                                                                        \
    for (long r = 1; r < j->reduced; r++) {                                                                  \
      type v = x[r * j->inner];                                                                              \
      if ((j->kind == MAX ? v > best : v < best) || (v != v && best == best)) best = v, at = r;              \
    }                                                                                                        \
    if (j->y) ((type *)j->y)[k] = best;                                                                      \
  }

static int minmax_chunk(void *arg, long chunk) {
  const MinmaxJob *j = arg;
  for (long k = chunk * j->group; k < least((chunk + 1) * j->group, j->count); k++) {
    long o = k / j->inner, i = k % j->inner, at = 0;
    switch (j->dtype) {
    case U8: MINMAX_OF(uint8_t) break;
    case I32: MINMAX_OF(int32_t) break;
    case I64: MINMAX_OF(int64_t) break;
    default: MINMAX_OF(real) break;
    }
    if (j->place) j->place[k] = at + 1;
  }
  return 1;
}

static int minmax_run(Call *c, int kind, long outer, long reduced, long inner, void *y, int64_t *place) {
  MinmaxJob j = {.kind = kind,
                 .dtype = c->in[0]->dtype,
                 .reduced = reduced,
                 .inner = inner,
                 .x = tensor_data(c->in[0]),
                 .y = y,
                 .place = place,
                 .count = outer * inner};
  j.group = reduced < 4096 ? 4096 / reduced : 1;
  return parallel((j.count + j.group - 1) / j.group, minmax_chunk, &j);
}

static int minmax_shape(Call *c, int outputs, bool places_only) {
  const Tensor *t = c->in[0];
  if (t->dtype != c->dtype && t->dtype != U8 && t->dtype != I32 && t->dtype != I64)
    return call_fail(c, "input: expected real or integer numbers, found %s", dtype_name[t->dtype]);
  long shape[RANK_MAX];
  int rank = 0, d = c->arg[0].given ? axis(c, 0, t->rank) : -1;
  if (c->arg[0].given && d < 0) return 0;
  for (int k = 0; k < t->rank; k++)
    if (d >= 0 && k != d)
      shape[rank++] = t->shape[k];
    else if (c->arg[1].n != 0)
      shape[rank++] = 1;
  if (d >= 0 ? t->shape[d] == 0 : t->size == 0)
    return call_fail(c, "input: expected at least one number to choose from, found %s", tensor_text(t));
  if (!call_out(c, 0, places_only ? I64 : t->dtype, rank, shape)) return 0;
  return outputs < 2 || d < 0 || call_out(c, 1, I64, rank, shape);
}

static int value_shape(Call *c) { return minmax_shape(c, 2, false); }
static int place_shape(Call *c) { return minmax_shape(c, 1, true); }

static int value_forward(Call *c, int kind) {
  const Tensor *t = c->in[0];
  bool all = !c->arg[0].given;
  int d = all ? 0 : axis(c, 0, t->rank);
  void *y = tensor_write(c->out[0]);
  Tensor *places = all ? call_save_new(c, 0, I64, 0, NULL) : c->out[1];
  int64_t *place = places ? tensor_write(places) : NULL;
  if (!y || !place) return 0;
  if (all) return minmax_run(c, kind, 1, t->size, 1, y, place);
  return minmax_run(c, kind, outer_of(t, d), t->shape[d], inner_of(t, d), y, place) &&
         (!c->training || call_save(c, 0, places));
}

static int max_forward(Call *c) { return value_forward(c, MAX); }
static int min_forward(Call *c) { return value_forward(c, MIN); }

static int argmax_forward(Call *c) {
  const Tensor *t = c->in[0];
  int64_t *place = tensor_write(c->out[0]);
  if (!place || !c->arg[0].given) return place && minmax_run(c, MAX, 1, t->size, 1, NULL, place);
  int d = axis(c, 0, t->rank);
  return minmax_run(c, MAX, outer_of(t, d), t->shape[d], inner_of(t, d), NULL, place);
}

static int value_backward(Call *c) {
  const Tensor *t = c->in[0];
  const real *dy = grad_out(c, 0);
  const int64_t *place = tensor_data(c->saved[0]);
  bool add;
  if (!dy) return 1;
  real *g = call_grad(c, 0, &add);
  if (!g) return 0;
  if (!add) memset(g, 0, tensor_bytes(t));
  int d = c->arg[0].given ? axis(c, 0, t->rank) : 0;
  long reduced = c->arg[0].given ? t->shape[d] : t->size, inner = c->arg[0].given ? inner_of(t, d) : 1;
  for (long k = 0; k < c->saved[0]->size; k++)
    g[(k / inner * reduced + place[k] - 1) * inner + k % inner] += dy[k];
  return 1;
}

/* A shuffled ladder of values: no two of them near each other. */
static int minmax_sample(Call *c, Random *r, int variant) {
  static const struct {
    int rank, dim;
    long shape[3];
  } samples[] = {{2, 0, {3, 4}},    {2, 1, {3, 4}}, {3, -1, {2, 3, 5}},
                 {3, 2, {2, 5, 3}}, {1, 1, {1}},    {0, 0, {0}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  if (!sample_input(c, 0, r, samples[variant].rank, samples[variant].shape)) return 0;
  real *x = tensor_write(c->in[0]);
  if (!x) return 0;
  for (long k = 0; k < c->in[0]->size; k++) {
    long other = random_below(r, k + 1);
    x[k] = x[other];
    x[other] = (real)(0.3 * (double)k - 2);
  }
  if (samples[variant].dim) sample_arg(c, 0, samples[variant].dim);
  sample_arg(c, 1, variant % 2);
  return 1;
}

#define ARGS "*input dim:int=none keepdim=false"
DESCRIPTOR op_max = {.name = "max",
                     .args = ARGS,
                     .doc = "largest number; over a dimension also its place (int64, from 1)",
                     .shape = value_shape,
                     .sample = minmax_sample,
                     .shape_only = 1};
const Kernel REALNAME(cpu_max) = {.forward = max_forward, .backward = value_backward};
DESCRIPTOR op_min = {.name = "min",
                     .args = ARGS,
                     .doc = "smallest number; over a dimension also its place (int64, from 1)",
                     .shape = value_shape,
                     .sample = minmax_sample,
                     .shape_only = 1};
const Kernel REALNAME(cpu_min) = {.forward = min_forward, .backward = value_backward};
DESCRIPTOR op_argmax = {.name = "argmax",
                        .args = ARGS,
                        .doc = "place of the largest number (int64, from 1) along a dimension, or of all",
                        .shape = place_shape,
                        .sample = minmax_sample};
const Kernel REALNAME(cpu_argmax) = {.forward = argmax_forward};
