/* Broadcasting as data: the shape rule, and operands as strides with neighbouring dimensions merged. */
#include "ops/op_kit.h"

#include <stdio.h>

int REALNAME(broadcast_shape)(const Call *c, const int *which, int operands, int *rank, long *shape) {
  *rank = 0;
  for (int k = 0; k < operands; k++)
    if (c->in[which[k]]->rank > *rank) *rank = c->in[which[k]]->rank;
  for (int d = 0; d < *rank; d++) shape[d] = 1;
  for (int k = 0; k < operands; k++) {
    const Tensor *t = c->in[which[k]];
    for (int d = 0, o = *rank - t->rank; d < t->rank; d++, o++) {
      if (shape[o] == 1)
        shape[o] = t->shape[d];
      else if (t->shape[d] != 1 && t->shape[d] != shape[o]) {
        char text[BROADCAST_MAX * 64] = "";
        for (int j = 0, n = 0; j < operands && n < (int)sizeof text; j++)
          n += snprintf(text + n, sizeof text - (size_t)n, j ? ", %s" : "%s", tensor_text(c->in[which[j]]));
        return call_fail(c, "shapes: expected equal sizes or 1 in every dimension, found %s", text);
      }
    }
  }
  return 1;
}

void REALNAME(broadcast_start)(Broadcast *w, Tensor *const *t, int operands, int rank, const long *shape) {
  long step[BROADCAST_MAX][RANK_MAX] = {{0}};
  for (int k = 0; k < operands; k++) {
    long stride = 1;
    for (int d = t[k]->rank - 1, o = rank - 1; d >= 0; d--, o--) {
      step[k][o] = t[k]->shape[d] == 1 ? 0 : stride;
      stride *= t[k]->shape[d];
    }
  }
  *w = (Broadcast){.operands = operands, .size = extent(shape, 0, rank)};
  for (int d = 0; d < rank; d++) {
    if (shape[d] == 1) continue;
    int last = w->rank - 1;
    bool merge = last >= 0;
    for (int k = 0; k < operands && merge; k++) merge = w->step[k][last] == step[k][d] * shape[d];
    if (merge)
      w->shape[last] *= shape[d];
    else
      w->shape[last = w->rank++] = shape[d];
    for (int k = 0; k < operands; k++) w->step[k][last] = step[k][d];
  }
  if (w->rank == 0) w->shape[w->rank++] = 1;
}
