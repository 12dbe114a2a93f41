/* Weights in the order of a method: made for one call, or kept with the weight's storage until its version
 * changes. */
#include "backend/conv_cache.h"

#include "core/error.h"
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT = 6 }; /* of a storage: an up-sampling convolution needs two, other shapes and choices others */

struct Packed {
  Packed *next; /* of the same storage, packed otherwise */
  size_t bytes;
  float *data;
  bool kept; /* belongs to a storage */
  /* what it was made from and for */
  unsigned long version;
  Method method;
  const float *weight;
  long key[9];
};

static void packed_free(void *p) {
  for (Packed *packed = p, *next; packed; packed = next) {
    next = packed->next;
    memory_give(packed->data, packed->bytes);
    free(packed);
  }
}

/* Weights of bfloat16 are packed by way of float32: the one place that sees the difference. */
static int pack(const Corr *c, Method m, const Tensor *weight, float *packed) {
  if (weight->dtype != BF16) return m.pack(c, packed);
  Corr own = *c;
  Tensor *wide = tensor_cast(weight, F32);
  if (!wide) return 0;
  own.weight = (const float *)tensor_data(wide) + (c->weight - (const float *)tensor_data(weight));
  int ok = m.pack(&own, packed);
  tensor_release(wide);
  return ok;
}

static Packed *packed_new(const Corr *c, Method m, const Tensor *weight) {
  Packed *p = calloc(1, sizeof *p);
  if (!p) {
    fail("convolution: no memory for packed weights");
    return NULL;
  }
  p->bytes = m.size(c) * sizeof(float);
  p->data = memory_take(p->bytes);
  if (p->data && pack(c, m, weight, p->data)) return p;
  packed_free(p);
  return NULL;
}

Packed *packed_weights(const Corr *c, Method m, const Tensor *weight, bool keep) {
  Storage *s = weight->storage;
  unsigned long version = atomic_load(&s->version);
  long key[9] = {c->groups, c->c, c->o, c->kh, c->kw, c->w_row, c->w_col, c->w_in, c->w_out};
  Packed *p = s->free_cache == packed_free ? s->cache : NULL;
  if (p && p->version != version) { /* training has gone on */
    packed_free(p);
    s->cache = p = NULL;
  }
  if (!keep) return packed_new(c, m, weight);
  int count = 0;
  for (Packed *k = p; k; k = k->next, count++)
    if (k->method.run == m.run && k->weight == c->weight && !memcmp(k->key, key, sizeof key)) return k;
  if (count >= KEPT) {
    packed_free(p);
    s->cache = p = NULL;
  }
  Packed *others = p;
  if (!(p = packed_new(c, m, weight))) return NULL;
  p->next = others;
  p->kept = true;
  p->version = version;
  p->method = m;
  p->weight = c->weight;
  memcpy(p->key, key, sizeof key);
  if (s->cache && !others) s->free_cache(s->cache);
  s->cache = p;
  s->free_cache = packed_free;
  return p;
}

const float *packed_data(const Packed *p) { return p->data; }

void packed_done(Packed *p) {
  if (p && !p->kept) packed_free(p);
}
