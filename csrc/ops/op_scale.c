/* A tensor times a number, in place: gradients are clipped so. Not differentiable; returns nothing. */
#include "backend/each.h"
#include "ops/op_kit.h"

enum { X, CHUNK = 1 << 14 };
enum { BY };

static int scale_shape(Call *c) { return want_real(c, X); }

struct scale_args {
  real *x, by;
};
BODY void scale_body(const struct scale_args *a, long i) { a->x[i] *= a->by; }
KERNEL(scale)

static int scale_forward(Call *c) {
  real *x = tensor_write(c->in[X]);
  return x && EACH(scale, c->in[X]->size, CHUNK, .x = x, .by = (real)c->arg[BY].n);
}

static void scale_numbers(const Call *c, float *numbers) { numbers[0] = (float)c->arg[BY].n; }

static int scale_sample(Call *c, Random *r, int variant) {
  static const long sizes[] = {5, 0, 1, 300};
  if (variant > 3 || !sample_input(c, X, r, 1, &sizes[variant])) return variant > 3 ? -1 : 0;
  sample_arg(c, BY, 0.25 * variant - 0.5);
  return 1;
}

DESCRIPTOR op_scale = {.name = "scale",
                       .args = "gradient by=1",
                       .doc = "gradient *= by in place; returns nothing",
                       .shape = scale_shape,
                       .sample = scale_sample,
                       .numbers = scale_numbers,
                       .full = 1 << X,
                       .mutates = 1 << X};
const Kernel REALNAME(cpu_scale) = {.forward = scale_forward};
