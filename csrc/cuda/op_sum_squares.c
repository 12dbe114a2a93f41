/* sum_squares (ops/op_sum_squares.c): of any number of tensors, one launch for each total. */
#include "cuda/update.h"

enum { X, TOTAL };

static int send(Call *c, UpdateRows *rows) {
  unsigned *counters = cuda_counters(c, 1);
  float *partial = counters ? call_scratch(c, rows->blocks * sizeof *partial) : NULL;
  int ok = partial && update_squares_on(stream_of(c), rows, partial, counters);
  call_drop(c, partial);
  return ok;
}

static int squares_each(Call *calls, int n) {
  UpdateRows rows = {.count = 0};
  const float *last = NULL;
  for (int i = 0; i < n; i++) {
    Call *c = &calls[i];
    float *state[3] = {tensor_write(c->in[TOTAL])};
    bool more = rows.count == UPDATE_ROWS || (rows.count && state[0] != last);
    if (!state[0] || (more && !send(calls, &rows))) return 0;
    last = state[0];
    update_row(&rows, state, input(c, X), c->in[X]->size);
  }
  return !n || send(calls, &rows);
}

static int squares_forward(Call *c) { return squares_each(c, 1); }

const Kernel cuda_sum_squares = {.forward = squares_forward, .each = squares_each};
