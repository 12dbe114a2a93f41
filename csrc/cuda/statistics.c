/* They belong to the tensor's storage, whose version tells whether they still are what the numbers add up to. */
#include "cuda/statistics.h"

#include "core/error.h"

#include <stdlib.h>

typedef struct Known {
  Tensor *room;
  long channels;
  unsigned long version;
} Known;

static void known_free(void *p) {
  tensor_release(((Known *)p)->room);
  free(p);
}

static long channels_of(const Tensor *t) { return t->rank ? t->shape[t->rank - 1] : 1; }

/* Two rows of channels, filled up to whole groups of four. */
Tensor *cuda_sums_new(const Tensor *of) {
  return tensor_on(of->device, F32, 2, (long[]){2, (channels_of(of) + 3) / 4 * 4});
}

ChannelSums cuda_sums_at(const Tensor *room) {
  float *sums = (float *)tensor_data(room); /* nobody else has it */
  return (ChannelSums){sums, sums + room->shape[1]};
}

static bool is_whole(const Tensor *t) { return t->offset == 0 && tensor_bytes(t) == t->storage->bytes; }

int cuda_sums_keep(const Tensor *t, Tensor *room) {
  Storage *s = t->storage;
  Known *k = s->cache || !is_whole(t) ? NULL : malloc(sizeof *k);
  if (!k) {
    tensor_release(room);
    return s->cache || !is_whole(t) || fail_memory("out of memory: sums of channels");
  }
  *k = (Known){room, channels_of(t), atomic_load(&s->version)};
  s->cache = k;
  s->free_cache = known_free;
  return 1;
}

ChannelSums cuda_sums_of(const Tensor *t) {
  const Storage *s = t->storage;
  const Known *k = s->cache && s->free_cache == known_free && is_whole(t) ? s->cache : NULL;
  bool known = k && k->version == atomic_load(&s->version) && k->channels == channels_of(t);
  return known ? cuda_sums_at(k->room) : (ChannelSums){NULL, NULL};
}
