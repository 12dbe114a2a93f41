/* Linear interpolation in place: `to` goes a share of the way to `from`. Moving averages of weights are made
 * of it. Not differentiable; returns nothing. */
#include "ops/op_kit.h"

#include "ops/bodies_lerp.h"

enum { TO, FROM, CHUNK = 1 << 14 };
enum { SHARE };

static int lerp_shape(Call *c) {
  if (!want_real(c, TO) || !want_real(c, FROM)) return 0;
  if (!tensor_same_shape(c->in[TO], c->in[FROM]))
    return call_fail(c, "from: expected %s like `to`, found %s", tensor_text(c->in[TO]),
                     tensor_text(c->in[FROM]));
  return 1;
}

static int lerp_forward(Call *c) {
  real *to = tensor_write(c->in[TO]);
  return to &&
         HOT_EACH(lerp, (c->in[TO]->size + LERP_BLOCK - 1) / LERP_BLOCK, CHUNK / LERP_BLOCK,
                  .n = c->in[TO]->size, .to = to, .from = input(c, FROM), .share = (real)c->arg[SHARE].n);
}

static void lerp_numbers(const Call *c, float *numbers) { numbers[0] = (float)c->arg[SHARE].n; }

static int lerp_sample(Call *c, Random *r, int variant) {
  static const long sizes[] = {5, 0, 1, 300};
  if (variant > 3) return -1;
  for (int i = TO; i <= FROM; i++)
    if (!sample_input(c, i, r, 1, &sizes[variant])) return 0;
  sample_arg(c, SHARE, 0.25 * variant);
  return 1;
}

DESCRIPTOR op_lerp = {.name = "lerp",
                      .args = "to from share=0.5",
                      .doc = "to += share (from - to) in place; returns nothing",
                      .shape = lerp_shape,
                      .sample = lerp_sample,
                      .numbers = lerp_numbers,
                      .mutates = 1 << TO};
const Kernel REALNAME(cpu_lerp) = {.forward = lerp_forward};
