/* round_weights (ops/op_round_weights.c), of any number of tensors in one launch. What is rounded belongs to the weights'
 * storage, whose version tells whether it still is what the weights would be rounded to. */
#include "cuda/rounded.h"
#include "cuda/update.h"

#include <stdlib.h>

enum { WEIGHTS };
enum { TO };

enum { KINDS = 2 }; /* of halves, which stay where they are once made: graphs know the place */
static int kind_of(Dtype half) { return half == F16; }

typedef struct Rounded {
  Tensor *half[KINDS];
  unsigned long version[KINDS];
} Rounded;

static void rounded_free(void *p) {
  tensor_release_all(((Rounded *)p)->half, KINDS);
  free(p);
}

/* Of a tensor that is all of its storage, where nothing else is kept; else NULL. */
static Rounded *rounded_of(const Tensor *t) {
  Storage *s = t->storage;
  bool whole = t->offset == 0 && tensor_bytes(t) == s->bytes;
  return whole && s->cache && s->free_cache == rounded_free ? s->cache : NULL;
}

const Tensor *cuda_rounded(const Tensor *t, Dtype dtype) {
  Rounded *r = rounded_of(t);
  int k = kind_of(dtype);
  return r && r->half[k] && r->version[k] == atomic_load(&t->storage->version) ? r->half[k] : NULL;
}

/* The place for halves; *half is NULL where none can be kept: what is made while work is recorded is the graph's. 0 with
 * a message. */
static int place_for(const Tensor *t, Dtype dtype, Tensor **half) {
  Storage *s = t->storage;
  Rounded *r = rounded_of(t);
  int k = kind_of(dtype);
  *half = NULL;
  if (!r && (s->cache || t->offset || tensor_bytes(t) != s->bytes)) return 1;
  if (t->device->recording && !(r && r->half[k])) return 1;
  if (!r) {
    if (!(r = calloc(1, sizeof *r))) return fail_memory("out of memory: rounded weights");
    s->cache = r;
    s->free_cache = rounded_free;
  }
  if (!r->half[k] && !(r->half[k] = tensor_on(t->device, dtype, t->rank, t->shape))) return 0;
  r->version[k] = atomic_load(&s->version);
  *half = r->half[k];
  return 1;
}

static int round_each(Call *calls, int n) {
  Dtype to = calls->arg[TO].list[0] ? F16 : BF16;
  UpdateRows rows = {.count = 0};
  UpdateKind kind = to == F16 ? UPDATE_F16 : UPDATE_BF16;
  for (int i = 0; i < n; i++) {
    const Tensor *t = calls[i].in[WEIGHTS];
    Tensor *half;
    if (!place_for(t, to, &half)) return 0;
    if (!half || !t->size) continue;
    float *state[3] = {(float *)tensor_data(t), (float *)tensor_data(half)}; /* the weights are only read */
    if (rows.count == UPDATE_ROWS && !update_on(stream_of(calls), kind, NULL, &rows)) return 0;
    update_row(&rows, state, NULL, t->size);
  }
  return update_on(stream_of(calls), kind, NULL, &rows);
}

static int round_forward(Call *c) { return round_each(c, 1); }

const Kernel cuda_round_weights = {.forward = round_forward, .each = round_each};
