/* sum_squares (ops/op_sum_squares.c), of any number of tensors in one launch. */
#include "cuda/update.h"

enum { X, TOTAL };

static int send(Call *c, UpdateRows *rows) {
  unsigned *counters = cuda_counters(c, UPDATE_ROWS);
  float *partial = counters ? call_scratch(c, (rows->blocks + 1) * sizeof *partial) : NULL;
  int ok = partial && update_squares_on(stream_of(c), rows, partial, counters);
  call_drop(c, partial);
  return ok;
}

static int squares_each(Call *calls, int n) {
  UpdateRows rows = {.count = 0};
  for (int i = 0; i < n; i++) {
    Call *c = &calls[i];
    float *state[3] = {tensor_write(c->in[TOTAL])};
    if (!state[0] || (rows.count == UPDATE_ROWS && !send(calls, &rows))) return 0;
    update_row(&rows, state, input(c, X), c->in[X]->size);
  }
  return send(calls, &rows);
}

static int squares_forward(Call *c) { return squares_each(c, 1); }

const Kernel cuda_sum_squares = {.forward = squares_forward, .each = squares_each};
