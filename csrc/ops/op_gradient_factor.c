/* What a step multiplies its gradients by, where it is taken without the host: they are clipped to a norm, and freed of
 * the scale of a loss, which halves where they are no numbers (then the step is left out) and doubles after 2000 good
 * steps (Micikevicius et al., ICLR 2018). Not differentiable; returns nothing. */
#include "ops/gradient_factor.h"

static int gradient_factor_shape(Call *c) {
  static const char *const names[] = {"total", "step", "scale", "good"};
  for (int i = TOTAL; i <= GOOD; i++) {
    long size = i == STEP ? OP_NUMBERS : 1;
    if (!want_real(c, i)) return 0;
    if (c->in[i] && c->in[i]->size != size)
      return call_fail(c, "%s: expected %ld numbers, found %s", names[i], size, tensor_text(c->in[i]));
  }
  if (!c->in[SCALE] != !c->in[GOOD])
    return call_fail(c, "expected scale and good together, found one of them");
  return c->arg[LIMIT].n >= 0 || call_fail(c, "limit: expected at least 0, found %g", c->arg[LIMIT].n);
}

static int gradient_factor_forward(Call *c) {
  struct gradient_factor_args a;
  if (!gradient_factor_read(c, &a)) return 0;
  gradient_factor_of(&a);
  return 1;
}

/* The last ones: a scale that doubles, one that may not. */
static int gradient_factor_sample(Call *c, Random *r, int variant) {
  static const long one = 1, numbers = OP_NUMBERS;
  static const real scales[] = {0, 4, 1024, 8, 16777216}, goods[] = {0, 0, 17, 1999, 1999};
  if (variant > 4) return -1;
  for (int i = TOTAL; i <= (variant ? GOOD : STEP); i++)
    if (!sample_input(c, i, r, 1, i == STEP ? &numbers : &one)) return 0;
  real *total = tensor_write(c->in[TOTAL]);
  *total = *total * *total + 1;
  if (variant) {
    *(real *)tensor_write(c->in[SCALE]) = scales[variant];
    *(real *)tensor_write(c->in[GOOD]) = goods[variant];
  }
  if (variant % 2 == 0) sample_arg(c, LIMIT, 0.01);
  return 1;
}

DESCRIPTOR op_gradient_factor = {
    .name = "gradient_factor",
    .args = "total step scale? good? limit=inf",
    .doc =
        "writes to an update's numbers what its gradients, whose squares' sum is total, are multiplied by: "
        "clipped to a norm of limit, freed of scale, which goes on; left out where they are no numbers",
    .shape = gradient_factor_shape,
    .sample = gradient_factor_sample,
    .full = 1 << TOTAL | 1 << STEP | 1 << SCALE | 1 << GOOD,
    .mutates = 1 << STEP | 1 << SCALE | 1 << GOOD};
const Kernel REALNAME(cpu_gradient_factor) = {.forward = gradient_factor_forward};
