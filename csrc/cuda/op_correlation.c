/* correlation (ops/op_correlation.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/correlation.h"
#include "ops/correlation_sizes.h"

static CorrelationLevels levels_of(const Call *c) {
  CorrelationLevels l;
  for (int i = 0; i < LEVELS_MAX; i++) l.at[i] = input(c, SECOND + i);
  return l;
}

static int correlation_forward(Call *c) {
  Correlation g = correlation_of(c);
  CorrelationLevels levels = levels_of(c);
  float *y = output(c, 0);
  return y && correlation_on(stream_of(c), c->in[POINTS]->shape[0], &g, input(c, FIRST), input(c, POINTS),
                             &levels, y);
}

static int correlation_backward(Call *c) {
  Correlation g = correlation_of(c);
  CorrelationLevels levels = levels_of(c);
  const float *dy = grad_out(c, 0), *first = input(c, FIRST), *points = input(c, POINTS);
  long images = c->in[POINTS]->shape[0];
  bool add;
  if (!dy) return 1;
  if (c->needs_grad[FIRST]) {
    float *d = call_grad(c, FIRST, &add);
    if (!d || !correlation_first_on(stream_of(c), images, &g, points, &levels, dy, d, add)) return 0;
  }
  for (int l = 0; l < g.levels; l++) {
    if (!c->needs_grad[SECOND + l]) continue;
    float *d = call_grad(c, SECOND + l, &add);
    if (!d || !correlation_level_on(stream_of(c), images, &g, l, first, points, dy, d, add)) return 0;
  }
  return 1;
}

const Kernel cuda_correlation = {.forward = correlation_forward, .backward = correlation_backward};
