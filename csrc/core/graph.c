/* Walking the tape backwards, and taking it apart: both by loops. */
#include "core/graph.h"

#include "core/device.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local bool enabled = true;
static bool (*paused)(void);

bool graph_enabled(void) { return enabled && !(paused && paused()); }

void graph_pause(bool (*ask)(void)) { paused = ask; }

bool graph_enable(bool on) {
  bool before = enabled;
  enabled = on;
  return before;
}

Var *var_new(void) {
  Var *v = calloc(1, sizeof *v);
  if (!v)
    fail_memory("out of memory: %zu bytes asked for", sizeof *v);
  else
    v->refs = 1;
  return v;
}

Var *var_retain(Var *v) {
  v->refs++;
  return v;
}

static void drop(Node *n) {
  if (n->dropped) return;
  n->dropped = true;
  n->drop(n);
}

/* The last reference to a node goes: queued, so that a long chain is freed by the outermost call's loop. */
static _Thread_local Node *doomed;
static _Thread_local bool clearing;

static void clear_doomed(void) {
  if (clearing) return;
  clearing = true;
  while (doomed) {
    Node *n = doomed;
    doomed = n->next;
    drop(n);
    for (int i = 0; i < n->nin; i++)
      if (n->in[i]) var_release(n->in[i]);
    n->free(n);
  }
  clearing = false;
}

static void unref(Node *n) {
  if (--n->refs > 0) return;
  n->next = doomed;
  doomed = n;
}

void var_release(Var *v) {
  if (--v->refs > 0) return;
  Node *n = v->node;
  Tensor *grad = v->grad;
  if (n) {
    n->out[v->output] = NULL;
    unref(n);
  }
  free(v);
  tensor_release(grad);
  clear_doomed();
}

/* A gradient that the device has put off is there now; NULL: all of them. */
static int settled(Device *d, const Tensor *t) {
  return !d->settle || d->settle(d, t ? t->storage->data : NULL);
}

Tensor *var_grad(Var *v, const Tensor *x, bool *add) {
  *add = v->grad != NULL;
  if (v->grad && !settled(x->device, v->grad)) return NULL;
  if (!v->grad) v->grad = tensor_on(x->device, x->dtype, x->rank, x->shape);
  return v->grad;
}

int var_grad_add(Var *v, const Tensor *t, int rank, const long *shape) {
  if (!v->grad) return (v->grad = tensor_view(t, 0, rank, shape)) != NULL;
  void *to = settled(t->device, v->grad) ? tensor_write(v->grad) : NULL;
  return to && t->device->accumulate(t->device, t->dtype, to, tensor_data(t), t->size);
}

int graph_record(Node *node, Tensor **outputs) {
  int ok = 1;
  node->refs = 1; /* held while the outputs get their Vars: none may be wanted, or memory may end half-way */
  for (int i = 0; i < node->nout && ok; i++) {
    if (!dtype_computes(outputs[i]->dtype, outputs[i]->device)) continue;
    Var *v = var_new();
    if (!v) {
      ok = 0;
      break;
    }
    v->node = node;
    v->output = i;
    node->refs++;
    outputs[i]->var = node->out[i] = v;
  }
  for (int i = 0; i < node->nout && !ok; i++)
    if (outputs[i]->var) {
      var_release(outputs[i]->var);
      outputs[i]->var = NULL;
    }
  unref(node);
  clear_doomed();
  return ok;
}

static unsigned long walk_number;

/* Counts, for every node that can be reached from root, the nodes that will hand it gradients. */
static void count_consumers(Node *root) {
  unsigned long walk = ++walk_number;
  Node *stack = root;
  root->walk = walk;
  root->consumers = 0;
  root->next = NULL;
  while (stack) {
    Node *n = stack;
    stack = n->next;
    for (int i = 0; i < n->nin; i++) {
      Node *m = n->in[i] ? n->in[i]->node : NULL;
      if (!m) continue;
      if (m->walk != walk) {
        m->walk = walk;
        m->consumers = 0;
        m->next = stack;
        stack = m;
      }
      m->consumers++;
    }
  }
}

static bool has_gradient(const Node *n) {
  for (int i = 0; i < n->nout; i++)
    if (n->out[i] && n->out[i]->grad) return true;
  return false;
}

static void forget_gradients(Node *n) {
  for (int i = 0; i < n->nout; i++)
    if (n->out[i] && n->out[i]->grad) {
      Tensor *g = n->out[i]->grad;
      n->out[i]->grad = NULL;
      tensor_release(g);
    }
}

enum { WALKED = -1 }; /* consumers of a node whose backward was called */

/* After a failure the leaves that had something added hold parts of sums, or what was never written: they had
 * better hold nothing. */
static void forget_leaf_gradients(Node *root) {
  unsigned long walk = ++walk_number;
  Node *stack = root;
  root->walk = walk;
  root->next = NULL;
  while (stack) {
    Node *n = stack;
    stack = n->next;
    for (int i = 0; i < n->nin; i++) {
      Var *v = n->in[i];
      if (v && !v->node) {
        if (n->consumers != WALKED) continue;
        Tensor *g = v->grad;
        v->grad = NULL;
        tensor_release(g);
      } else if (v && v->node->walk != walk) {
        v->node->walk = walk;
        v->node->next = stack;
        stack = v->node;
      }
    }
  }
}

static int check_root(const Tensor *root, const Tensor *gradient) {
  if (!root->var)
    return fail("backward: expected a tensor that requires a gradient, found one that does not");
  if (!gradient && root->size != 1)
    return fail("backward: expected one element (or a gradient), found %s", tensor_text(root));
  if (gradient && (gradient->dtype != root->dtype || !tensor_same_shape(gradient, root)))
    return fail("backward: gradient: expected %s %s, found %s %s", dtype_name[root->dtype], tensor_text(root),
                dtype_name[gradient->dtype], tensor_text(gradient));
  if (gradient && gradient->device != root->device)
    return fail("backward: gradient: expected a tensor on %s, found one on %s", root->device->name,
                gradient->device->name);
  return 1;
}

static int seed_gradient(Tensor *root, const Tensor *gradient) {
  Tensor *one = NULL;
  int ok = 1;
  if (!gradient) {
    Device *d = root->device;
    if (!(one = tensor_on(d, root->dtype, root->rank, root->shape))) return 0;
    const void *unit = root->dtype == F64    ? (const void *)&(double){1}
                       : root->dtype == BF16 ? (const void *)&(uint16_t){0x3f80}
                       : root->dtype == F16  ? (const void *)&(uint16_t){0x3c00}
                                             : (const void *)&(float){1};
    ok = d->fill(d, one->storage->data, unit, dtype_bytes[root->dtype], 1);
    gradient = one;
  }
  ok = ok && var_grad_add(root->var, gradient, root->rank, root->shape);
  tensor_release(one);
  return ok;
}

static int walk_back(Node *first, bool retain) {
  count_consumers(first);
  int ok = 1;
  Node *ready = first;
  first->next = NULL;
  while (ready) { /* after a failure the walk goes on, only to take the half-made gradients away */
    Node *n = ready;
    ready = n->next;
    if (ok && has_gradient(n)) {
      if (n->dropped)
        ok = fail("backward: a part of this graph was already walked and freed; use retain_graph = true");
      else {
        n->consumers = WALKED;
        ok = n->backward(n);
      }
    }
    forget_gradients(n);
    if (ok && !retain) drop(n);
    for (int i = 0; i < n->nin; i++) {
      Node *m = n->in[i] ? n->in[i]->node : NULL;
      if (!m || --m->consumers) continue;
      m->next = ready;
      ready = m;
    }
  }
  if (!ok) forget_leaf_gradients(first);
  return ok;
}

static _Thread_local bool walking;

int graph_backward(Tensor *root, const Tensor *gradient, bool retain) {
  if (walking)
    return fail("backward: expected no other backward under way, found one (in a function of its graph)");
  if (!check_root(root, gradient)) return 0;
  Node *first = root->var->node;
  if (first && first->dropped)
    return fail("backward: this graph was already walked and freed; use retain_graph = true the first time");
  if (!seed_gradient(root, gradient)) return 0;
  if (!first) return 1;
  Var *held = var_retain(root->var); /* a node's backward may be the user's code, which may close the root */
  Device *d = root->device;
  walking = d->walking = true;
  int ok = walk_back(first, retain);
  walking = d->walking = false;
  ok = settled(d, NULL) && ok;
  var_release(held);
  return ok;
}
