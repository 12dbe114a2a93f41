/* sum, mean, var, and the sums that broadcasting's gradients need (ops/op_sum.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/reduce.h"
#include "ops/sum_sizes.h"

int cuda_sum_middle(Call *c, Dtype from, const void *x, long outer, long reduced, long inner, double scale,
                    Dtype to, void *y, bool add) {
  SumRoom room = sum_middle_room(from, outer, reduced, inner);
  unsigned *counters = room.counters ? cuda_counters(c, room.counters) : NULL;
  void *scratch = counters ? call_scratch(c, room.numbers * dtype_bytes[from == F64 ? F64 : F32]) : NULL;
  if (room.counters && !scratch) return 0;
  int ok = sum_middle_on(stream_of(c), from, x, outer, reduced, inner, scale, to, y, add, scratch, counters);
  call_drop(c, scratch);
  return ok;
}

int cuda_sum_to(Call *c, Dtype from, const void *x, int rank, const long *shape, const Tensor *t, void *y,
                bool add) {
  SumTo s;
  void *temporary = NULL;
  int ok = 1;
  sum_to_start(&s, rank, shape, t);
  for (bool more = true; ok && more;) {
    more = sum_to_next(&s);
    void *next = more ? call_scratch(c, (size_t)(s.outer * s.inner) * dtype_bytes[from]) : y;
    ok = next && cuda_sum_middle(c, from, x, s.outer, s.reduced, s.inner, 1, from, next, more ? false : add);
    call_drop(c, temporary);
    temporary = more ? next : NULL;
    x = next;
  }
  call_drop(c, temporary);
  return ok;
}

static int sum_scaled(Call *c, bool mean) {
  SumSizes s = sum_sizes(c);
  float *y = output(c, 0);
  return y && cuda_sum_middle(c, c->dtype, input(c, 0), s.outer, s.reduced, s.inner,
                              mean ? 1 / (float)s.reduced : 1, c->dtype, y, false);
}

static int spread(Call *c, float scale, const float *x, const float *mean) {
  SumSizes s = sum_sizes(c);
  bool add;
  float *g = c->grad_out[0] ? call_grad(c, 0, &add) : NULL;
  if (!c->grad_out[0]) return 1;
  return g && spread_on(stream_of(c), c->dtype, s.outer, s.reduced, s.inner, grad_out(c, 0), x, mean, scale,
                        g, add);
}

static int sum_forward(Call *c) { return sum_scaled(c, false); }
static int sum_backward(Call *c) { return spread(c, 1, NULL, NULL); }
static int mean_forward(Call *c) { return sum_scaled(c, true); }
static int mean_backward(Call *c) { return spread(c, 1 / (float)sum_sizes(c).reduced, NULL, NULL); }

static int var_forward(Call *c) {
  SumSizes s = sum_sizes(c);
  Tensor *mean = call_save_new(c, 0, F32, c->out[0]->rank, c->out[0]->shape);
  float *m = mean ? tensor_write(mean) : NULL, *y = output(c, 0);
  const float *x = input(c, 0);
  return m && y &&
         cuda_sum_middle(c, c->dtype, x, s.outer, s.reduced, s.inner, 1 / (float)s.reduced, F32, m, false) &&
         squares_on(stream_of(c), c->dtype, x, m, s.outer, s.reduced, s.inner,
                    (float)var_freedom(c, s.reduced), y);
}

static int var_backward(Call *c) {
  return spread(c, (float)(2 / var_freedom(c, sum_sizes(c).reduced)), input(c, 0), saved(c, 0));
}

const Kernel cuda_sum = {.forward = sum_forward, .backward = sum_backward};
const Kernel cuda_mean = {.forward = mean_forward, .backward = mean_backward};
const Kernel cuda_var = {.forward = var_forward, .backward = var_backward};
