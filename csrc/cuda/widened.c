/* A kernel for any op on halves: the float32 one, on float32 copies of what is halves; what it gives is rounded. The
 * tape keeps the halves, and copies live as long as a pass. */
#include "cuda/widened.h"

#include "core/graph.h"
#include "cuda/cuda.h"

#include <string.h>

static int is_half(const Tensor *t) { return t && dtype_is_half(t->dtype); }

/* A float32 tensor in the place of a half one: with its numbers, or, `bare`, with nothing in it. NULL with a message. */
static Tensor *wide(const Tensor *t, bool bare) {
  if (t->storage) return bare ? tensor_on(t->device, F32, t->rank, t->shape) : tensor_cast(t, F32);
  Tensor shape = *t;
  shape.dtype = F32;
  return tensor_view(&shape, 0, t->rank, t->shape);
}

/* list's halves become float32 ones of the call, own[i]. */
static int widen(Tensor **list, Tensor **own, int n, bool bare) {
  for (int i = 0; i < n; i++)
    if (is_half(list[i]) && !(list[i] = own[i] = wide(list[i], bare))) return 0;
  return 1;
}

static int narrow(const Call *c, const Tensor *from, Tensor *to) {
  void *p = tensor_write(to);
  return p && c->device->cast(c->device, F32, tensor_data(from), to->dtype, p, to->size);
}

/* Runs f in float32. */
static int in_float32(Call *c, int (*f)(Call *)) {
  Dtype dtype = c->dtype;
  c->dtype = c->compute = F32;
  int ok = f(c);
  c->dtype = c->compute = dtype;
  return ok;
}

static const Kernel *full(const Call *c) { return ((const Widened *)c->kernel)->full; }

int widened_forward(Call *c) {
  Tensor *in[OP_IN], *out[OP_OUT], *own_in[OP_IN] = {NULL}, *own_out[OP_OUT] = {NULL};
  memcpy(in, c->in, sizeof in);
  memcpy(out, c->out, sizeof out);
  int ok = widen(c->in, own_in, c->nin, false) && widen(c->out, own_out, c->nout, true) &&
           in_float32(c, full(c)->forward);
  memcpy(c->in, in, sizeof in);
  memcpy(c->out, out, sizeof out);
  c->recompute = false;
  for (int i = 0; i < c->nout && ok; i++)
    if (own_out[i]) ok = narrow(c, own_out[i], out[i]);
  tensor_release_all(own_in, OP_IN);
  tensor_release_all(own_out, OP_OUT);
  return ok;
}

/* The gradient of in[i], the call's own so far, goes where it belongs. */
static int hand_in(const Call *c, int i) {
  Tensor *x = c->in[i], *g = tensor_cast(c->grad_in[i], x->dtype);
  int ok = g && var_grad_add(x->var, g, x->rank, x->shape);
  tensor_release(g);
  return ok;
}

/* With a home beside its device a call makes gradients of its own (call_grad). */
int widened_backward(Call *c) {
  Tensor *in[OP_IN], *grad_out[OP_OUT], *own_in[OP_IN] = {NULL}, *own_out[OP_OUT] = {NULL};
  memcpy(in, c->in, sizeof in);
  memcpy(grad_out, c->grad_out, sizeof grad_out);
  memset(c->grad_in, 0,
         sizeof c->grad_in); /* those that are there, of inputs without an element, are the tape's */
  c->home = c->device;
  int ok = widen(c->in, own_in, c->nin, false) && widen(c->grad_out, own_out, c->nout, false) &&
           in_float32(c, full(c)->backward);
  c->home = NULL;
  memcpy(c->in, in, sizeof in);
  memcpy(c->grad_out, grad_out, sizeof grad_out);
  for (int i = 0; i < c->nin && ok; i++)
    if (c->grad_in[i]) ok = hand_in(c, i);
  tensor_release_all(c->grad_in, OP_IN);
  tensor_release_all(own_in, OP_IN);
  tensor_release_all(own_out, OP_OUT);
  return ok;
}
