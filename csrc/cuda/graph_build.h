/* Operation graphs in the terms of cuDNN's backend API, for graph.c alone. An error sticks to the graph: after the first
 * one every call does nothing, and its words are kept. */
#ifndef CUDA_GRAPH_BUILD_H
#define CUDA_GRAPH_BUILD_H

#include "cuda/cudnn.h"
#include "cuda/graph.h"

#ifdef CUDNN_BUILT
#include <stdint.h>

typedef cudnnBackendDescriptor_t Node;

/* NODES: more than the largest graph and its plan have. */
enum { NODES = 40, OPERATIONS = 5 };

typedef struct Planned {
  Plan plan; /* first: what others see */
  const Cudnn *lib;
  Node node[NODES], operation[OPERATIONS], execution; /* all that was made, to be destroyed together */
  int nodes, operations;
  int64_t inner;
  bool present[PLAN_TENSORS];
  long first; /* offers before it are passed over */
  cudnnStatus_t status;
  char words[256];
} Planned;

void graph_check(Planned *g, cudnnStatus_t status, const char *what);
Node graph_make(Planned *g, cudnnBackendDescriptorType_t type);
void graph_set(Planned *g, Node n, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
               int64_t count, const void *value);
void graph_set_node(Planned *g, Node n, cudnnBackendAttributeName_t name, Node value);
Node graph_finalize(Planned *g, Node n, const char *what);

/* All operations of the problem, and which tensors it has. */
void graph_build(Planned *g, const Problem *p);
#endif

#endif
