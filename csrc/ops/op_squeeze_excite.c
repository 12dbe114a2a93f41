/* Squeeze and excitation's gate, forward and backward: see squeeze_excite.h. */
#include "ops/squeeze_excite.h"

#include "ops/bodies_se.h"
#include "ops/dense.h"

int REALNAME(squeeze_excite_forward)(SqueezeExcite *e) {
  long N = e->images, C = e->channels, S = e->squeezed;
  if (!dense(false, true, N, S, C, e->pooled, e->w1, e->before, false)) return 0;
  HOT_CALL(se_hidden, N, S, e->b1, e->silu, e->before, e->hidden);
  if (!dense(false, true, N, C, S, e->hidden, e->w2, e->gate, false)) return 0;
  HOT_CALL(se_open, N, C, e->b2, e->gate);
  return 1;
}

/* The gradients of weight {out, in} and bias {out} of a layer, from its input and its output's gradient. */
static int layer_grads(Call *c, int weight, long rows, long out, long in, const real *x, const real *dy) {
  bool add;
  real *g = c->needs_grad[weight] ? call_grad(c, weight, &add) : NULL;
  if (c->needs_grad[weight] && !(g && dense(true, false, out, in, rows, dy, x, g, add))) return 0;
  g = c->needs_grad[weight + 1] ? call_grad(c, weight + 1, &add) : NULL;
  return !c->needs_grad[weight + 1] || (g && REALNAME(sum_middle)(c, dy, 1, rows, out, 1, g, add));
}

int REALNAME(squeeze_excite_backward)(Call *c, const SqueezeExcite *e, int first, real *d) {
  long N = e->images, C = e->channels, S = e->squeezed;
  size_t bytes = (size_t)(N * S) * sizeof(real);
  real *h = call_scratch(c, bytes);
  if (!h) return 0;
  for (long i = 0; i < N * C; i++) d[i] *= e->gate[i] * (1 - e->gate[i]);
  int ok =
      layer_grads(c, first + 2, N, C, S, e->hidden, d) && dense(false, false, N, S, C, d, e->w2, h, false);
  for (long i = 0; i < N * S && ok; i++) {
    real v = e->before[i], s = SIGMOID(v);
    h[i] *= e->silu ? SILU_SLOPE(v, s) : v > 0;
  }
  return ok && layer_grads(c, first, N, S, C, e->pooled, h) &&
         dense(false, false, N, C, S, h, e->w1, d, false);
}
