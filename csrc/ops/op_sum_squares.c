/* The sum of a tensor's squared numbers, added to a tensor of one: norms of gradients are made of it. Not
 * differentiable; returns nothing. */
#include "ops/op_kit.h"

enum { X, TOTAL, LANES = 8 };

static int sum_squares_shape(Call *c) {
  if (!want_real(c, X) || !want_real(c, TOTAL)) return 0;
  return c->in[TOTAL]->size == 1 ||
         call_fail(c, "total: expected one number, found %s", tensor_text(c->in[TOTAL]));
}

static int sum_squares_forward(Call *c) {
  const real *x = input(c, X);
  real *total = tensor_write(c->in[TOTAL]);
  double sum[LANES] = {0}; /* side by side: additions need not wait for one another */
  for (long i = 0; i < c->in[X]->size; i++) sum[i % LANES] += (double)x[i] * (double)x[i];
  for (int k = 1; k < LANES; k++) sum[0] += sum[k];
  if (total) *total += (real)sum[0];
  return total != NULL;
}

static void sum_squares_numbers(const Call *c, float *numbers) { (void)c, (void)numbers; }

static int sum_squares_sample(Call *c, Random *r, int variant) {
  static const long sizes[] = {5, 0, 1, 300}, one = 1;
  if (variant > 3) return -1;
  return sample_input(c, X, r, 1, &sizes[variant]) && sample_input(c, TOTAL, r, 1, &one);
}

DESCRIPTOR op_sum_squares = {.name = "sum_squares",
                             .args = "gradient total",
                             .doc =
                                 "adds the sum of the squared gradient to total, one number; returns nothing",
                             .shape = sum_squares_shape,
                             .sample = sum_squares_sample,
                             .numbers = sum_squares_numbers,
                             .full = 1 << X | 1 << TOTAL,
                             .mutates = 1 << TOTAL};
const Kernel REALNAME(cpu_sum_squares) = {.forward = sum_squares_forward};
