/* The rows of ops/pointwise.def on the GPU (ops/op_pointwise.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/pointwise.h"
#include "ops/pointwise_rows.h"

/* ---- one operand ---- */

static float limit(const Call *c, int i, float absent) {
  return c->arg[i].given ? (float)c->arg[i].n : absent;
}

static int unary_forward(Call *c, int row, int keep, float p, float q) {
  float *y = output(c, 0);
  if (!y || !unary_forward_on(stream_of(c), row, c->in[0]->size, c->dtype, input(c, 0), y, limit(c, 0, p),
                              limit(c, 1, q)))
    return 0;
  return !c->training || !(keep & KEEP_Y) || call_save(c, 0, c->out[0]);
}

/* What is not kept is read nowhere; the gradient stands in for it. */
static int unary_backward(Call *c, int row, int keep, float p, float q) {
  const float *dy = grad_out(c, 0);
  bool add;
  float *g = dy ? call_grad(c, 0, &add) : NULL;
  if (!dy) return 1;
  return g && unary_backward_on(stream_of(c), row, c->in[0]->size, c->dtype, keep & KEEP_X ? input(c, 0) : dy,
                                keep & KEEP_Y ? saved(c, 0) : dy, dy, g, add, limit(c, 0, p), limit(c, 1, q));
}

/* ---- two operands ---- */

static Strides strides(const Call *c, int rank, const long *shape, long *size) {
  Broadcast b;
  broadcast_start_f32(&b, c->in, 2, rank, shape);
  Strides w = {.rank = b.rank};
  for (int d = 0; d < b.rank; d++) {
    w.shape[d] = b.shape[d];
    w.a[d] = b.step[0][d];
    w.b[d] = b.step[1][d];
  }
  *size = b.size;
  return w;
}

static int binary_forward(Call *c, int row, int keep) {
  long n;
  Strides w = strides(c, c->out[0]->rank, c->out[0]->shape, &n);
  float *y = output(c, 0);
  if (!y || !binary_forward_on(stream_of(c), row, n, &w, c->dtype, input(c, 0), input(c, 1), y)) return 0;
  return !c->training || !(keep & KEEP_Y) || call_save(c, 0, c->out[0]);
}

static int side_into(Call *c, int row, int keep, int side, float *g, bool add) {
  const Tensor *t = c->grad_out[0];
  const float *dy = grad_out(c, 0);
  long n;
  Strides w = strides(c, t->rank, t->shape, &n);
  return binary_backward_on(stream_of(c), row, side, n, &w, c->dtype, keep & KEEP_A ? input(c, 0) : dy,
                            keep & KEEP_B ? input(c, 1) : dy, keep & KEEP_Y ? saved(c, 0) : dy, dy, g, add);
}

/* The gradient of one side: dy itself, computed in place, or through a temporary that is summed. */
static int binary_side(Call *c, int row, int keep, int side) {
  Tensor *dy = c->grad_out[0], *in = c->in[side];
  bool same = tensor_same_shape(in, dy), pass = keep & (side ? PASS_B : PASS_A), add;
  if (pass && same) return call_grad_is(c, side, dy);
  float *g = call_grad(c, side, &add);
  if (!g) return 0;
  if (pass) return cuda_sum_to(c, c->dtype, grad_out(c, 0), dy->rank, dy->shape, in, g, add);
  if (same) return side_into(c, row, keep, side, g, add);
  float *all = call_scratch(c, tensor_bytes(dy));
  return all && side_into(c, row, keep, side, all, false) &&
         cuda_sum_to(c, c->dtype, all, dy->rank, dy->shape, in, g, add);
}

static int binary_backward(Call *c, int row, int keep) {
  if (!c->grad_out[0]) return 1;
  return (!c->needs_grad[0] || binary_side(c, row, keep, 0)) &&
         (!c->needs_grad[1] || binary_side(c, row, keep, 1));
}

/* ---- comparisons ---- */

static bool whole(Dtype d) { return d == U8 || d == I32 || d == I64; }

/* In the dtype of both, or in one that holds the numbers of both exactly. */
static int compare_forward(Call *c, int row) {
  Dtype one = c->in[0]->dtype, other = c->in[1]->dtype;
  Dtype as = one == F32 && other == F32 ? F32 : whole(one) && whole(other) ? I64 : F64;
  Tensor *a = tensor_cast(c->in[0], as), *b = a ? tensor_cast(c->in[1], as) : NULL;
  uint8_t *y = tensor_write(c->out[0]);
  long n;
  Strides w = strides(c, c->out[0]->rank, c->out[0]->shape, &n);
  int ok = a && b && y && compare_on(stream_of(c), row, as, n, &w, tensor_data(a), tensor_data(b), y);
  tensor_release(a);
  tensor_release(b);
  return ok;
}

/* ---- the rows ---- */
#define UNARY(name, keep, ...) BOUNDED(name, keep, , 0, 0, )
#define BOUNDED(name, keep, args, p, q, ...)                                                                 \
  static int forward_##name(Call *c) { return unary_forward(c, UNARY_##name, keep, p, q); }                  \
  static int backward_##name(Call *c) { return unary_backward(c, UNARY_##name, keep, p, q); }                \
  const Kernel cuda_##name = {.forward = forward_##name, .backward = backward_##name};
#define BINARY(name, keep, ...)                                                                              \
  static int forward_##name(Call *c) { return binary_forward(c, BINARY_##name, keep); }                      \
  static int backward_##name(Call *c) { return binary_backward(c, BINARY_##name, keep); }                    \
  const Kernel cuda_##name = {.forward = forward_##name, .backward = backward_##name};
#define COMPARE(name, ...)                                                                                   \
  static int forward_##name(Call *c) { return compare_forward(c, COMPARE_##name); }                          \
  const Kernel cuda_##name = {.forward = forward_##name};
#include "ops/pointwise.def"
