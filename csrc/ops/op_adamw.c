/* One step of AdamW (Loshchilov and Hutter, ICLR 2019) on one parameter, in place and in one pass: the
 * parameter and both moments are written. Not differentiable; returns nothing. */
#include "ops/adamw_step.h"

enum { CHUNK = 1 << 14 };

static int adamw_shape(Call *c) {
  static const char *const names[] = {"parameter", "gradient", "m", "v"};
  for (int i = PARAMETER; i <= SECOND; i++) {
    if (!want_real(c, i)) return 0;
    if (!tensor_same_shape(c->in[i], c->in[PARAMETER]))
      return call_fail(c, "%s: expected %s like the parameter, found %s", names[i],
                       tensor_text(c->in[PARAMETER]), tensor_text(c->in[i]));
  }
  if (c->arg[STEP].n < 1) return call_fail(c, "step: expected at least 1, found %g", c->arg[STEP].n);
  return 1;
}

static int adamw_forward(Call *c) {
  real *p = tensor_write(c->in[PARAMETER]), *m = tensor_write(c->in[FIRST]), *v = tensor_write(c->in[SECOND]);
  return p && m && v &&
         HOT_EACH(adamw, (c->in[PARAMETER]->size + ADAMW_BLOCK - 1) / ADAMW_BLOCK, CHUNK / ADAMW_BLOCK,
                  .n = c->in[PARAMETER]->size, .p = p, .m = m, .v = v, .g = input(c, GRADIENT),
                  .step = adamw_step(c));
}

static void adamw_numbers(const Call *c, float *numbers) {
  struct adamw_step step = adamw_step(c);
  const real *of = &step.beta1;
  for (size_t i = 0; i < sizeof step / sizeof(real); i++) numbers[i] = (float)of[i];
}

static int adamw_sample(Call *c, Random *r, int variant) {
  static const long sizes[] = {5, 0, 1, 300};
  if (variant > 3) return -1;
  for (int i = PARAMETER; i <= SECOND; i++)
    if (!sample_input(c, i, r, 1, &sizes[variant])) return 0;
  real *v = tensor_write(c->in[SECOND]);
  for (long i = 0; v && i < sizes[variant]; i++) v[i] *= v[i];
  sample_arg(c, STEP, variant + 1);
  return v != NULL;
}

DESCRIPTOR op_adamw = {
    .name = "adamw",
    .args = "parameter gradient m v lr=0.01 beta1=0.9 beta2=0.999 eps=1e-8 weight_decay=0.01 step:int=1",
    .doc = "one AdamW step in place: writes parameter, m and v; returns nothing",
    .shape = adamw_shape,
    .sample = adamw_sample,
    .numbers = adamw_numbers,
    .full = 1 << PARAMETER | 1 << GRADIENT | 1 << FIRST | 1 << SECOND,
    .mutates = 1 << PARAMETER | 1 << FIRST | 1 << SECOND};
const Kernel REALNAME(cpu_adamw) = {.forward = adamw_forward};
