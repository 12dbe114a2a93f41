/* The tape: who made which tensor, and how gradients walk back.
 *
 *   Tensor ──> Var ──> Node ──> Var ──> Node ...   owning references point towards the inputs only: no cycle
 *               Var <··· Node                        a node knows its outputs' Vars weakly
 *
 * A Var is one differentiable value; it also collects the value's gradient. A Node is one operation's record;
 * the layer above embeds it in a larger struct with what its backward needs. Freeing and walking are loops,
 * never recursions: a graph may be 10^5 nodes deep. No second derivatives. One thread per graph. */
#ifndef CORE_GRAPH_H
#define CORE_GRAPH_H

#include "core/tensor.h"

#pragma GCC visibility push(default) /* for the shared objects of devices */

enum { NODE_IN = 10, NODE_OUT = 4 };

typedef struct Node Node;

struct Var {
  int refs;
  Node *node;   /* that made it; NULL for a leaf (a parameter, an input) */
  int output;   /* which of the node's outputs */
  Tensor *grad; /* of a leaf: the sum so far; of others: only while backward is on its way */
};

struct Node {
  int refs; /* one per living output Var */
  int nin, nout;
  Var *in[NODE_IN];        /* owned; NULL: no gradient wanted there */
  Var *out[NODE_OUT];      /* weak; NULL: nobody holds that output any more */
  int (*backward)(Node *); /* reads out[i]->grad, adds into in[i]->grad by var_grad / var_grad_add */
  void (*drop)(Node *);    /* releases what backward needed; called once: after backward, or at the end */
  void (*free)(Node *);    /* frees the struct that embeds the node */
  bool dropped;
  int consumers;      /* of backward: nodes on the way that still have to hand in a gradient */
  unsigned long walk; /* of backward: the walk that saw this node last */
  Node *next;         /* link of the list that the current loop keeps */
};

Var *var_new(void); /* a leaf; one reference; NULL when memory is short */
Var *var_retain(Var *v);
void var_release(Var *v);

/* The gradient tensor of v to write to, made like x (undefined) when there is none: *add tells which. */
Tensor *var_grad(Var *v, const Tensor *x, bool *add);
/* Adds t (same element count; seen in the given shape) to v's gradient; the first one is shared,
 * not copied. */
int var_grad_add(Var *v, const Tensor *t, int rank, const long *shape);

/* Records a node: takes over the struct, gives each output tensor a Var.
 * On failure frees it and returns 0. */
int graph_record(Node *node, Tensor **outputs);

/* Gradients of root with respect to all leaves, added to their Vars. gradient: like root, or NULL (root must
 * be a single element: 1). Unless retain, every node releases its saved data as it is passed. After a
 * failure no leaf that had something added keeps a gradient, so that nobody takes a part of a sum for the
 * whole. */
int graph_backward(Tensor *root, const Tensor *gradient, bool retain);

/* Whether ops record themselves (this thread). Returns what it was before. */
bool graph_enable(bool on);
bool graph_enabled(void);
/* While ask() is true nothing records itself either. Who runs several threads of control on one thread of the
 * system (Lua's coroutines) knows which of them is running, and says here whether that one wants a record. */
void graph_pause(bool (*ask)(void));

#pragma GCC visibility pop

#endif
