/* See update.h. */
#include "cuda/update.h"

#include "cuda/kernels/memory.h"

enum { PIECE = 1 << 30 }; /* of a parameter: numbers that a row holds at most */

/* Memory for writing, NULL where there is no such tensor. */
static int writable(Call *c, int i, float **p) {
  Tensor *t = i == NO_STATE ? NULL : c->in[i];
  *p = t ? tensor_write(t) : NULL;
  return *p || !t;
}

/* What the calls' parameters come to, in device memory. */
static const float *numbers_of(Call *c) {
  float numbers[OP_NUMBERS] = {[OP_FACTOR] = 1};
  if (c->numbers) return c->numbers;
  float *to = call_scratch(c, sizeof numbers);
  c->op->numbers(c, numbers);
  return to && put_bytes(stream_of(c), to, numbers, sizeof numbers) ? to : NULL;
}

void update_row(UpdateRows *rows, float *const *state, const float *g, long n) {
  UpdateRow *r = &rows->row[rows->count++];
  *r = (UpdateRow){state[0], state[1], state[2], g, (unsigned)n, rows->blocks};
  rows->blocks += UPDATE_BLOCKS(n);
}

int cuda_update(Call *calls, int n, UpdateKind kind, const int *which) {
  UpdateRows rows = {.count = 0};
  const float *numbers = numbers_of(calls);
  if (!numbers) return 0;
  for (int i = 0; i < n; i++) {
    Call *c = &calls[i];
    float *state[3];
    const float *g = which[3] == NO_STATE ? NULL : input(c, which[3]);
    for (int k = 0; k < 3; k++)
      if (!writable(c, which[k], &state[k])) return 0;
    for (long at = 0, size = c->in [which[0]]->size; at < size; at += PIECE) {
      if (rows.count == UPDATE_ROWS && !update_on(stream_of(c), kind, numbers, &rows)) return 0;
      update_row(&rows, state, g ? g + at : NULL, least(size - at, PIECE));
      for (int k = 0; k < 3; k++)
        if (state[k]) state[k] += PIECE;
    }
  }
  return update_on(stream_of(calls), kind, numbers, &rows);
}
