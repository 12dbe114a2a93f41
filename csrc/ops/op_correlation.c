/* correlation: what RAFT looks up at every step (Teed and Deng, ECCV 2020): the correlations of each pixel's
 * features with those of windows of a pyramid of the second picture, made when they are asked for. The points
 * are where the flow leads so far, and get no gradient, as in that paper's training. */
#include "ops/correlation_sizes.h"

enum { GRAIN = 8, BANDS = 8 };

static int correlation_shape(Call *c) {
  static const char *const names[] = {"first", "points", "second", "half", "quarter", "eighth"};
  const Tensor *first = c->in[FIRST], *points = c->in[POINTS];
  long radius = c->arg[RADIUS].list[0];
  for (int i = 0; i < SECOND + LEVELS_MAX; i++)
    if (!want_real(c, i) || (c->in[i] && !call_want_rank(c, i, 4))) return 0;
  if (points->shape[3] != 2)
    return call_fail(c, "points: expected N x H x W x 2, found %s", tensor_text(points));
  if ((first->shape[0] != 1 && first->shape[0] != points->shape[0]) ||
      memcmp(first->shape + 1, points->shape + 1, 2 * sizeof *first->shape))
    return call_fail(c, "first: expected features of %s (or of one image of it), found %s",
                     tensor_text(points), tensor_text(first));
  for (int i = SECOND, missing = 0; i < SECOND + LEVELS_MAX; i++) {
    const Tensor *t = c->in[i];
    if (!t) {
      missing = i;
      continue;
    }
    if (missing) return call_fail(c, "%s: expected it before %s, found nothing", names[missing], names[i]);
    if (t->shape[0] != points->shape[0] || t->shape[3] != first->shape[3] || !t->shape[1] || !t->shape[2])
      return call_fail(c, "%s: expected %ld x H x W x %ld with at least one pixel, found %s", names[i],
                       points->shape[0], first->shape[3], tensor_text(t));
  }
  if (radius < 0 || radius > RADIUS_MAX)
    return call_fail(c, "radius: expected 0 to %d, found %ld", RADIUS_MAX, radius);
  Correlation g = correlation_of(c);
  return call_out(c, 0, c->dtype, 4,
                  SHAPE(points->shape[0], points->shape[1], points->shape[2], correlation_depth(&g)));
}

static double correlation_flops(const Call *c) {
  Correlation g = correlation_of(c);
  double reach = (double)correlation_reach(&g);
  return 2.0 * (double)(c->in[POINTS]->size / 2) * (double)(g.levels * g.c) * reach * reach;
}

static const real *level_data(const Call *c, int l) { return input(c, SECOND + l); }

static int correlation_run(Call *c) {
  real *y = output(c, 0);
  return y && HOT_EACH(correlation_forward, c->in[POINTS]->size / 2, GRAIN, .first = input(c, FIRST),
                       .points = input(c, POINTS),
                       .level = {level_data(c, 0), level_data(c, 1), level_data(c, 2), level_data(c, 3)},
                       .y = y, .g = correlation_of(c));
}

static int level_back(Call *c, const Correlation *g, int l) {
  bool add;
  real *d = call_grad(c, SECOND + l, &add);
  long rows = (g->h[l] + BANDS - 1) / BANDS, bands = (g->h[l] + rows - 1) / rows;
  return d && HOT_EACH(correlation_level, c->in[POINTS]->shape[0] * bands, 1, .first = input(c, FIRST),
                       .points = input(c, POINTS), .dy = grad_out(c, 0), .dlevel = d, .add = add, .level = l,
                       .rows = rows, .bands = bands, .g = *g);
}

static int correlation_back(Call *c) {
  Correlation g = correlation_of(c);
  const real *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[FIRST]) {
    real *d = call_grad(c, FIRST, &add);
    const Tensor *first = c->in[FIRST];
    if (!d || !HOT_EACH(correlation_first, extent(first->shape, 0, 3), GRAIN, .points = input(c, POINTS),
                        .level = {level_data(c, 0), level_data(c, 1), level_data(c, 2), level_data(c, 3)},
                        .dy = dy, .dfirst = d, .add = add, .images = c->in[POINTS]->shape[0], .g = g))
      return 0;
  }
  for (int l = 0; l < g.levels; l++)
    if (c->needs_grad[SECOND + l] && !level_back(c, &g, l)) return 0;
  return 1;
}

/* Points inside, at the edges and beyond them. */
static int correlation_sample(Call *c, Random *r, int variant) {
  static const struct {
    long n, first, h, w, c, radius;
    int levels;
  } samples[] = {{1, 1, 3, 4, 5, 1, 2}, {2, 2, 4, 3, 8, 2, 1}, {2, 1, 3, 3, 17, 1, 4}, {1, 1, 2, 5, 3, 0, 3},
                 {0, 1, 2, 2, 3, 1, 1}, {1, 1, 0, 2, 4, 1, 1}, {1, 1, 2, 2, 0, 1, 1},  {1, 1, 5, 6, 9, 3, 2}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  long n = samples[variant].n, h = samples[variant].h, w = samples[variant].w, depth = samples[variant].c;
  sample_arg(c, RADIUS, (double)samples[variant].radius);
  if (!sample_input(c, FIRST, r, 4, SHAPE(samples[variant].first, h, w, depth)) ||
      !sample_input(c, POINTS, r, 4, SHAPE(n, h, w, 2)))
    return 0;
  for (int l = 0; l < samples[variant].levels; l++)
    if (!sample_input(c, SECOND + l, r, 4, SHAPE(n, (7 >> l) + (l > 2), (9 >> l) + (l > 2), depth))) return 0;
  real *points = tensor_write(c->in[POINTS]);
  for (long i = 0; points && i < c->in[POINTS]->size; i++)
    points[i] = (real)(-3 + 0.001 * (double)random_below(r, 15000));
  return points != NULL;
}

DESCRIPTOR op_correlation = {
    .name = "correlation",
    .args = "first points second half? quarter? eighth? radius:int=4",
    .doc =
        "products of features N,H,W,C (or 1,H,W,C) with those of windows of a pyramid around points N,H,W,2 "
        "of (x, y) in its pixels, over sqrt(C): N,H,W,levels (2 radius + 1)^2, as RAFT looks them up",
    .shape = correlation_shape,
    .sample = correlation_sample,
    .full = 1 << POINTS,
    .no_grad = 1 << POINTS,
    .flops = correlation_flops};
const Kernel REALNAME(cpu_correlation) = {.forward = correlation_run, .backward = correlation_back};
