/* See record.h. */
#include "ops/record.h"

#include "core/error.h"
#include "core/graph.h"
#include "core/pool.h"
#include "core/profile.h"
#include "ops/account.h"
#include "ops/anomaly.h"
#include "ops/run.h"

#include <stdlib.h>
#include <string.h>

typedef struct OpNode {
  Node node; /* first: the tape frees and walks by it */
  Call call;
} OpNode;

static void op_drop(Node *n) {
  Call *c = &((OpNode *)n)->call;
  tensor_release_all(c->in, OP_IN);
  tensor_release_all(c->saved, OP_SAVED);
}

static void op_free(Node *n) { free(n); }

/* A private header for the node: the user's tensor may be written to, this one never shows it. */
static Tensor *keep(const Tensor *t, bool shape_only, bool graded) {
  Tensor *k;
  if (shape_only) {
    Tensor bare = *t;
    bare.storage = NULL;
    k = tensor_view(&bare, 0, t->rank, t->shape);
  } else
    k = tensor_view(t, 0, t->rank, t->shape);
  if (k && t->var && graded) k->var = var_retain(t->var);
  return k;
}

/* ---- operands that are made again ---- */

static int op_backward(Node *n);

enum { WORTH = 1 << 20 }; /* bytes; maps below that hardly count */

/* The call that made v and can do so again; NULL: there is none. */
static Call *maker(const Var *v) {
  Node *n = v ? v->node : NULL;
  if (!n || n->backward != op_backward) return NULL;
  Call *c = &((OpNode *)n)->call;
  return c->recompute && !n->dropped ? c : NULL;
}

/* The header of an operand that its maker can make again as it was made: see record.h. A maker keeps its own
 * operands, so that nothing has to be made again to make something again. */
static bool may_go(const Call *reader, const Tensor *t) {
  return !reader->recompute && !reader->home && tensor_bytes(t) >= WORTH && maker(t->var);
}

static Tensor *recomputed(const Tensor *bare) {
  Call *c = maker(bare->var);
  if (!c)
    return fail("backward: a part of this graph was already walked and freed; use retain_graph = true"), NULL;
  Tensor *t = c->out[0] = tensor_on(c->device, bare->dtype, bare->rank, bare->shape);
  if (!t) return NULL;
  long event = profiling ? profile_begin(c->op->name, EVENT_FORWARD) : -1;
  int ok = call_compute(c, c->kernel->recompute);
  c->nout = 1;
  if (event >= 0) account_forward(event, c, ok);
  c->out[0] = NULL;
  if (!ok) return tensor_release(t), NULL;
  t->var = var_retain(bare->var);
  return t;
}

/* ---- the node ---- */

/* Zeros are the gradient of an input that no element of the outputs comes from. */
static int zero_gradient(Call *c, int i) {
  bool add;
  void *g = call_grad(c, i, &add);
  return g && (add || c->device->fill(c->device, g, NULL, 1, (long)tensor_bytes(c->in[i])));
}

/* Away from home: the outputs' gradients as copies on the computing device ... */
static int take_along(Call *c) {
  int ok = 1;
  for (int i = 0; i < c->nout; i++) {
    Tensor *t = ok && c->grad_out[i] ? tensor_to(c->grad_out[i], c->device) : NULL;
    ok = ok && (t || !c->grad_out[i]);
    c->grad_out[i] = t;
  }
  return ok;
}

/* ... and those of the inputs, which are the call's own there, added where they belong. */
static int bring_back(Call *c, int ok) {
  for (int i = 0; i < c->nin; i++) {
    Tensor *t = ok && c->grad_in[i] ? tensor_to(c->grad_in[i], c->home) : NULL;
    if (ok && c->grad_in[i]) ok = t && var_grad_add(c->in[i]->var, t, t->rank, t->shape);
    tensor_release(t);
    tensor_release(c->grad_in[i]);
  }
  for (int i = 0; i < c->nout; i++) tensor_release(c->grad_out[i]);
  return ok;
}

static int backward(Node *n) {
  Call *c = &((OpNode *)n)->call;
  bool wanted = false;
  int ok = 1;
  for (int i = 0; i < n->nout; i++) c->grad_out[i] = n->out[i] ? n->out[i]->grad : NULL;
  long event = profiling ? profile_begin(c->op->name, EVENT_BACKWARD) : -1;
  for (int i = 0; i < c->nin && ok; i++) {
    c->needs_grad[i] = n->in[i] && !c->nothing && c->in[i]->size;
    wanted = wanted || c->needs_grad[i];
    if (n->in[i] && !c->needs_grad[i]) ok = zero_gradient(c, i);
  }
  if (c->home) ok = take_along(c) && ok;
  ok = ok && (!wanted || call_compute(c, c->kernel->backward));
  if (event >= 0) account_backward(event, c, ok);
  if (c->home) ok = bring_back(c, ok);
  memset(c->grad_out, 0, sizeof c->grad_out);
  memset(c->grad_in, 0, sizeof c->grad_in);
  if (ok && detecting_anomaly)
    ok = (!c->device->settle || c->device->settle(c->device, NULL)) && anomaly_in_gradients(c, n);
  if (ok && interrupted) return fail("interrupted");
  return ok;
}

static int op_backward(Node *n) {
  Call *c = &((OpNode *)n)->call;
  Tensor *bare[OP_IN] = {NULL};
  int ok = 1;
  for (int i = 0; i < c->nin && ok; i++) {
    if (!c->in[i] || c->in[i]->storage || c->op->shape_only >> i & 1) continue;
    Tensor *t = recomputed(c->in[i]);
    if (!(ok = t != NULL)) break;
    bare[i] = c->in[i];
    c->in[i] = t;
  }
  ok = ok && backward(n);
  for (int i = 0; i < OP_IN; i++) {
    if (!bare[i]) continue;
    tensor_release(c->in[i]);
    c->in[i] = bare[i];
  }
  return ok;
}

int record_call(Call *c) {
  OpNode *o = calloc(1, sizeof *o);
  if (!o) return fail_memory("out of memory: %zu bytes asked for", sizeof *o);
  Node *n = &o->node;
  o->call = *c;
  memset(o->call.in, 0, sizeof o->call.in);
  memset(o->call.out, 0, sizeof o->call.out);
  memset(c->saved, 0, sizeof c->saved);
  n->nin = c->nin;
  n->nout = c->nout;
  n->backward = op_backward;
  n->drop = op_drop;
  n->free = op_free;
  for (int i = 0; i < c->nin; i++) {
    if (!c->in[i]) continue;
    bool graded = !(c->op->no_grad >> i & 1),
         bare = c->op->shape_only >> i & 1 || (graded && may_go(c, c->in[i]));
    if (!(o->call.in[i] = keep(c->in[i], bare, graded))) {
      n->nin = i;
      op_drop(n);
      for (int k = 0; k < i; k++)
        if (n->in[k]) var_release(n->in[k]);
      free(o);
      return 0;
    }
    if (c->in[i]->var && graded) n->in[i] = var_retain(c->in[i]->var);
  }
  return graph_record(n, c->out);
}
