/* where (ops/op_where.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/where.h"

/* t[0 ..], which broadcast to a shape, as steps over it. */
static Choice choice(Tensor *const *t, int operands, int rank, const long *shape) {
  Broadcast b;
  broadcast_start_f32(&b, t, operands, rank, shape);
  Choice w = {.rank = b.rank, .size = b.size};
  memcpy(w.shape, b.shape, sizeof w.shape);
  for (int k = 0; k < operands; k++) memcpy(w.step[k], b.step[k], sizeof w.step[k]);
  return w;
}

/* cond as bytes that are 0 or not; real ones compare with 0 before they are rounded. */
static Tensor *truth(const Call *c, Tensor *cond) {
  if (cond->dtype == U8) return tensor_retain(cond);
  Tensor *wide = tensor_cast(cond, F64),
         *t = wide ? tensor_on(cond->device, U8, cond->rank, cond->shape) : NULL;
  uint8_t *to = t ? tensor_write(t) : NULL;
  if (t && !(to && truth_on(stream_of(c), cond->size, tensor_data(wide), to))) {
    tensor_release(t);
    t = NULL;
  }
  tensor_release(wide);
  return t;
}

static int where_forward(Call *c) {
  Tensor *y = c->out[0], *t[3] = {truth(c, c->in[0])};
  int ok = t[0] != NULL;
  for (int k = 1; k < 3 && ok; k++)
    ok = (t[k] = c->in[k]->dtype == y->dtype ? tensor_retain(c->in[k]) : tensor_cast(c->in[k], y->dtype)) !=
         NULL;
  if (ok) {
    Choice w = choice(t, 3, y->rank, y->shape);
    void *to = tensor_write(y);
    ok = to && where_on(stream_of(c), &w, dtype_bytes[y->dtype], tensor_data(t[0]), tensor_data(t[1]),
                        tensor_data(t[2]), to);
  }
  if (ok && c->training) ok = call_save(c, 0, t[0]);
  for (int k = 0; k < 3; k++) tensor_release(t[k]);
  return ok;
}

static int side_into(Call *c, int side, void *g, bool add) {
  const Tensor *dy = c->grad_out[0];
  Choice w = choice(c->saved, 1, dy->rank, dy->shape);
  return where_back_on(stream_of(c), &w, dy->dtype, side, tensor_data(c->saved[0]), tensor_data(dy), g, add);
}

static int where_side(Call *c, int side) {
  const Tensor *dy = c->grad_out[0], *in = c->in[1 + side];
  bool add;
  void *g = call_grad(c, 1 + side, &add);
  if (!g || tensor_same_shape(in, dy)) return g && side_into(c, side, g, add);
  void *all = call_scratch(c, tensor_bytes(dy));
  int ok = all && side_into(c, side, all, false) &&
           cuda_sum_to(c, dy->dtype, all, dy->rank, dy->shape, in, g, add);
  call_drop(c, all);
  return ok;
}

static int where_backward(Call *c) {
  if (!c->grad_out[0]) return 1;
  return (!c->needs_grad[1] || where_side(c, 0)) && (!c->needs_grad[2] || where_side(c, 1));
}

const Kernel cuda_where = {.forward = where_forward, .backward = where_backward};
