/* One step of stochastic gradient descent on one parameter, in place and in one pass: v = momentum v + d with
 * d = gradient + weight_decay parameter; parameter -= lr v, or lr (d + momentum v) with Nesterov's momentum
 * (Sutskever et al., ICML 2013). Not differentiable; returns nothing. */
#include "ops/sgd_step.h"

enum { CHUNK = 1 << 14 };

static int sgd_shape(Call *c) {
  static const char *const names[] = {"parameter", "gradient", "velocity"};
  for (int i = PARAMETER; i <= VELOCITY; i++) {
    if (!want_real(c, i)) return 0;
    if (c->in[i] && !tensor_same_shape(c->in[i], c->in[PARAMETER]))
      return call_fail(c, "%s: expected %s like the parameter, found %s", names[i],
                       tensor_text(c->in[PARAMETER]), tensor_text(c->in[i]));
  }
  if (!c->in[VELOCITY] && c->arg[MOMENTUM].n != 0)
    return call_fail(c, "velocity: expected a tensor for momentum %g, found none", c->arg[MOMENTUM].n);
  return 1;
}

static int sgd_forward(Call *c) {
  real *p = tensor_write(c->in[PARAMETER]), *v = p && c->in[VELOCITY] ? tensor_write(c->in[VELOCITY]) : NULL;
  return p && (v || !c->in[VELOCITY]) &&
         HOT_EACH(sgd, (c->in[PARAMETER]->size + SGD_BLOCK - 1) / SGD_BLOCK, CHUNK / SGD_BLOCK,
                  .n = c->in[PARAMETER]->size, .p = p, .v = v, .g = input(c, GRADIENT), .step = sgd_step(c));
}

static void sgd_numbers(const Call *c, float *numbers) {
  struct sgd_step step = sgd_step(c);
  const real *of = &step.lr;
  for (size_t i = 0; i < sizeof step / sizeof(real); i++) numbers[i] = (float)of[i];
}

static int sgd_sample(Call *c, Random *r, int variant) {
  static const long sizes[] = {5, 0, 1, 300, 300};
  if (variant > 4) return -1;
  for (int i = PARAMETER; i <= (variant == 3 ? GRADIENT : VELOCITY); i++)
    if (!sample_input(c, i, r, 1, &sizes[variant])) return 0;
  if (variant != 3) sample_arg(c, MOMENTUM, 0.9);
  sample_arg(c, DECAY, variant == 0 ? 0 : 0.1);
  sample_arg(c, NESTEROV, variant == 4);
  return 1;
}

DESCRIPTOR op_sgd = {
    .name = "sgd",
    .args = "parameter gradient velocity? lr=0.01 momentum=0 weight_decay=0 nesterov=false",
    .doc = "one step of gradient descent in place: writes parameter and velocity; returns nothing",
    .shape = sgd_shape,
    .sample = sgd_sample,
    .numbers = sgd_numbers,
    .full = 1 << PARAMETER | 1 << GRADIENT | 1 << VELOCITY,
    .mutates = 1 << PARAMETER | 1 << VELOCITY};
const Kernel REALNAME(cpu_sgd) = {.forward = sgd_forward};
