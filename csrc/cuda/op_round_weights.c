/* round_weights (ops/op_round_weights.c), of any number of tensors in one launch. What is rounded belongs to the weights'
 * storage, whose version tells whether it still is what the weights would be rounded to. */
#include "cuda/rounded.h"
#include "cuda/update.h"

#include <stdlib.h>

enum { WEIGHTS };
enum { TO };

typedef struct Rounded {
  Tensor *half;
  unsigned long version;
} Rounded;

static void rounded_free(void *p) {
  tensor_release(((Rounded *)p)->half);
  free(p);
}

/* A storage's own, if the tensor is all of it. */
static Rounded *rounded_of(const Tensor *t) {
  Storage *s = t->storage;
  bool whole = t->offset == 0 && tensor_bytes(t) == s->bytes;
  return whole && s->cache && s->free_cache == rounded_free ? s->cache : NULL;
}

const Tensor *cuda_rounded(const Tensor *t, Dtype dtype) {
  Rounded *r = rounded_of(t);
  return r && r->half->dtype == dtype && r->version == atomic_load(&t->storage->version) ? r->half : NULL;
}

/* Room for it; of a view, or where something else is kept, *r is NULL. 0 with a message. */
static int make_room(const Tensor *t, Dtype dtype, Rounded **r) {
  Storage *s = t->storage;
  *r = rounded_of(t);
  if (*r && (*r)->half->dtype != dtype) {
    s->cache = NULL;
    rounded_free(*r);
    *r = NULL;
  }
  if (*r || s->cache || t->offset || tensor_bytes(t) != s->bytes) return 1;
  Rounded *made = calloc(1, sizeof *made);
  if (!made) return fail_memory("out of memory: rounded weights");
  made->half = tensor_on(t->device, dtype, t->rank, t->shape);
  if (!made->half) return free(made), 0;
  s->cache = made;
  s->free_cache = rounded_free;
  return *r = made, 1;
}

static int round_each(Call *calls, int n) {
  Dtype to = calls->arg[TO].list[0] ? F16 : BF16;
  UpdateRows rows = {.count = 0};
  UpdateKind kind = to == F16 ? UPDATE_F16 : UPDATE_BF16;
  for (int i = 0; i < n; i++) {
    const Tensor *t = calls[i].in[WEIGHTS];
    Rounded *r;
    if (!make_room(t, to, &r)) return 0;
    if (!r || !t->size) continue;
    float *state[3] = {(float *)tensor_data(t), (float *)tensor_data(r->half)}; /* the weights are only read */
    if (rows.count == UPDATE_ROWS && !update_on(stream_of(calls), kind, NULL, &rows)) return 0;
    update_row(&rows, state, NULL, t->size);
    r->version = atomic_load(&t->storage->version);
  }
  return update_on(stream_of(calls), kind, NULL, &rows);
}

static int round_forward(Call *c) { return round_each(c, 1); }

const Kernel cuda_round_weights = {.forward = round_forward, .each = round_each};
