/* See account.h. */
#include "ops/account.h"

#include "core/profile.h"
#include "ops/engine.h"

#include <string.h>

static bool shares_storage(const Call *c, const Tensor *t) {
  for (int i = 0; i < c->nin; i++)
    if (c->in[i] && c->in[i]->storage == t->storage) return true;
  return false;
}

static size_t bytes_of(Tensor *const *t, int n) {
  size_t bytes = 0;
  for (int i = 0; i < n; i++)
    if (t[i] && t[i]->storage) bytes += tensor_bytes(t[i]);
  return bytes;
}

static void add_bytes(Event *e, const Call *c) {
  size_t before = e->written;
  for (int i = 0; i < c->nout; i++)
    if (c->out[i] && !shares_storage(c, c->out[i])) e->written += tensor_bytes(c->out[i]);
  unsigned mutates = op_mutates(c);
  for (int i = 0; i < c->nin; i++)
    if (c->in[i] && mutates >> i & 1) e->written += tensor_bytes(c->in[i]);
  if (e->written > before) e->read += bytes_of(c->in, c->nin);
}

void account_each(long event, const Call *c, int n, bool ok) {
  Event *e = profile_end(event);
  if (!e || !ok) return;
  for (int i = 0; i < n; i++) add_bytes(e, c + i);
  e->fallback = c->home != NULL;
  if (c->op->flops) e->flops = c->op->flops(c);
  const Tensor *first = c->nout ? c->out[0] : c->in[0];
  if (!first) return;
  e->rank = first->rank;
  memcpy(e->shape, first->shape, sizeof e->shape);
}

void account_forward(long event, const Call *c, bool ok) { account_each(event, c, 1, ok); }

void account_backward(long event, const Call *c, bool ok) {
  Event *e = profile_end(event);
  if (!e || !ok) return;
  e->written = bytes_of(c->grad_in, c->nin);
  if (e->written)
    e->read = bytes_of(c->grad_out, c->nout) + bytes_of(c->in, c->nin) + bytes_of(c->saved, OP_SAVED);
  e->fallback = c->home != NULL;
  if (c->op->flops) e->flops = c->op->flops(c) * (c->needs_grad[0] + c->needs_grad[1]);
  e->rank = c->in[0]->rank;
  memcpy(e->shape, c->in[0]->shape, sizeof e->shape);
}
