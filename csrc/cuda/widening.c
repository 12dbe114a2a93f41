/* See widening.h. One device puts off at a time; what it puts off is held here, with its halves. */
#include "cuda/widening.h"

#include "core/graph.h"
#include "cuda/kernels/memory.h"
#include "cuda/update.h"

enum { MOST = 256 };

typedef struct Later {
  Tensor *to, *half;
} Later;

static Later later[MOST];
static int count;
static Device *whose;

/* Those of one kind of halves. */
static int widen_all(Device *d, Dtype half) {
  UpdateRows rows = {.count = 0};
  UpdateKind kind = half == F16 ? UPDATE_WIDEN_F16 : UPDATE_WIDEN_BF16;
  for (int i = 0; i < count; i++) {
    if (later[i].half->dtype != half) continue;
    float *state[3] = {(float *)tensor_data(later[i].to), (float *)tensor_data(later[i].half)};
    if (rows.count == UPDATE_ROWS && !update_on(cuda_stream(d), kind, NULL, &rows)) return 0;
    update_row(&rows, state, NULL, later[i].to->size);
  }
  return update_on(cuda_stream(d), kind, NULL, &rows);
}

int cuda_settle(Device *d, const void *block) {
  bool among = !block;
  if (!count || whose != d) return 1;
  for (int i = 0; i < count && !among; i++) among = later[i].to->storage->data == block;
  if (!among) return 1;
  int ok = widen_all(d, BF16) && widen_all(d, F16);
  while (count) {
    tensor_release(later[--count].to);
    tensor_release(later[count].half);
  }
  return ok;
}

/* Whether nobody reads the gradient on the way: it is a leaf's, and begins with this. */
static bool may_wait(const Call *c, int i, bool add) {
  return !add && c->device->walking && !c->home && c->in[i]->var && !c->in[i]->var->node && c->grad_in[i] &&
         (!count || whose == c->device);
}

int cuda_widen(Call *c, int i, Tensor *half, float *dw, bool add) {
  if (!may_wait(c, i, add)) {
    int ok = widen_into(stream_of(c), half->dtype, tensor_data(half), dw, half->size, add);
    tensor_release(half);
    return ok;
  }
  whose = c->device;
  later[count++] = (Later){tensor_retain(c->grad_in[i]), half};
  return count < MOST || cuda_settle(whose, NULL);
}
