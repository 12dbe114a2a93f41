/* The form of torch.save from PyTorch 0.1.10 to 1.5: five pickles (a magic number, a version, facts of the
 * machine, the weights, the keys of their storages) and behind them the storages in the order of the keys,
 * each as its number of elements (int64) and its numbers. All is little-endian, whatever machine wrote it. */
#include "core/error.h"
#include "io/pth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRONT_MAX = 1 << 26, VERSION = 1001 };
static const char MAGIC[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"; /* 0x1950a86a20f9469cfc6c */

/* A storage of the file: what the weights say of it, and where it lies. */
typedef struct Stored {
  PthStorage storage;
  PthReference reference;
  size_t at; /* 0 until the list of keys tells */
} Stored;

typedef struct Old {
  PthFile file;
  Source source;
  Bytes front; /* what the pickles lie in */
  size_t at;   /* the next of them */
  Stored *list;
  long count; /* sorted by key */
} Old;

static int next_pickle(Old *o, Pickle *out) {
  if (!pickle_read(o->file.path, o->front.data + o->at, o->front.size - o->at, pth_allowed, out)) return 0;
  o->at += out->size;
  return 1;
}

/* ---- the first three ---- */

/* The root of the next pickle, alone. Texts stay good, items do not. */
static int next_value(Old *o, PickleValue *out) {
  Pickle p;
  if (!next_pickle(o, &p)) return 0;
  *out = p.values[p.root];
  pickle_free(&p);
  return 1;
}

static int read_head(Old *o) {
  PickleValue magic, version, machine;
  const char *path = o->file.path;
  if (!next_value(o, &magic)) return 0;
  if (magic.kind != PICKLE_LONG || magic.count != sizeof MAGIC - 1 ||
      memcmp(magic.as.text, MAGIC, magic.count) != 0)
    return fail("%s: expected a file of torch.save, found a pickle of something else", path);
  if (!next_value(o, &version)) return 0;
  if (version.kind != PICKLE_INT || version.as.number != VERSION)
    return fail("%s: expected version %d of torch.save's older form, found another", path, VERSION);
  if (!next_value(o, &machine)) return 0;
  return machine.kind == PICKLE_DICT ||
         fail("%s: expected a dict of the machine that wrote it, found something else", path);
}

/* ---- storages ---- */

static int by_key(const void *a, const void *b) {
  const PthReference *x = &((const Stored *)a)->reference, *y = &((const Stored *)b)->reference;
  return bytes_order(x->key, x->key_size, y->key, y->key_size);
}

static Stored *find(Old *o, const char *key, size_t size) {
  const Stored wanted = {.reference = {.key = key, .key_size = size}};
  return o->count ? bsearch(&wanted, o->list, (size_t)o->count, sizeof wanted, by_key) : NULL;
}

/* All storages that the pickle refers to, also those of what is no weight: the file holds them too. */
static int list_storages(Old *o, const Pickle *weights) {
  long n = 0;
  for (uint32_t i = 0; i < weights->count; i++) n += weights->values[i].kind == PICKLE_PERSISTENT;
  if (!(o->list = malloc((size_t)n * sizeof *o->list + 1)))
    return fail("%s: expected memory for its list of storages, found none left", o->file.path);
  for (uint32_t i = 0; i < weights->count; i++) {
    if (weights->values[i].kind != PICKLE_PERSISTENT) continue;
    Stored *s = &o->list[o->count];
    *s = (Stored){0};
    if (!pth_reference(o->file.path, weights, &weights->values[i], &s->reference)) return 0;
    s->storage.bytes = s->reference.bytes;
    o->count++;
  }
  if (o->count) qsort(o->list, (size_t)o->count, sizeof *o->list, by_key);
  long kept = 0;
  for (long i = 0; i < o->count; i++)
    if (kept == 0 || by_key(&o->list[kept - 1], &o->list[i]) != 0) o->list[kept++] = o->list[i];
  o->count = kept;
  return 1;
}

/* Walks over the storages in the order of the keys; each key once, each storage's size as the weights say,
 * the end of the last the end of the file. */
static int locate(Old *o, const Pickle *keys) {
  const char *path = o->file.path;
  const PickleValue *list = &keys->values[keys->root];
  size_t at = o->at;
  char text[64];
  if (list->kind != PICKLE_LIST) return fail("%s: expected a list of storages, found something else", path);
  for (uint32_t i = 0; i < list->count; i++) {
    const PickleValue *key = &keys->values[list->as.items[i]];
    int64_t elements;
    if (key->kind != PICKLE_TEXT) return fail("%s: expected a key of a storage, found something else", path);
    pickle_text(text, sizeof text, key->as.text, key->count);
    Stored *s = find(o, key->as.text, key->count);
    if (!s) return fail("%s: expected storages of its tensors, found a foreign one: %s", path, text);
    if (s->at) return fail("%s: expected every storage once, found %s twice", path, text);
    if (!source_read(&o->source, at, &elements, 8)) return 0;
    if (elements < 0 || (size_t)elements != s->reference.bytes / s->reference.element)
      return fail("%s: expected %zu elements in storage %s, found %lld", path,
                  s->reference.bytes / s->reference.element, text, (long long)elements);
    s->at = at + 8;
    if (s->reference.bytes > o->source.size - s->at)
      return fail("%s: expected %zu bytes in storage %s, found %zu (truncated?)", path, s->reference.bytes,
                  text, o->source.size - s->at);
    at = s->at + s->reference.bytes;
  }
  return at == o->source.size ||
         fail("%s: expected its end after the last storage, found %zu more bytes", path, o->source.size - at);
}

static PthStorage *find_storage(PthFile *f, const char *who, const PthReference *r) {
  Stored *s = find((Old *)f, r->key, r->key_size);
  char key[64];
  pickle_text(key, sizeof key, r->key, r->key_size);
  if (s && s->at && s->reference.bytes == r->bytes) return &s->storage;
  if (!s || !s->at)
    fail("%s: expected a storage %s, found none", who, key);
  else
    fail("%s: expected %zu bytes in storage %s, found %zu", who, r->bytes, key, s->reference.bytes);
  return NULL;
}

static int read_storage(PthFile *f, PthStorage *s, unsigned char *data) {
  return source_read(&((Old *)f)->source, ((Stored *)s)->at, data, s->bytes);
}

/* ---- the whole ---- */

static int read_tensors(Old *o, const Pickle *weights, Bundle *out) {
  Pickle keys;
  PthTensors tensors;
  if (!list_storages(o, weights) || !next_pickle(o, &keys)) return 0;
  int ok = locate(o, &keys);
  pickle_free(&keys);
  if (!ok || !pth_tensors(o->file.path, o->source.size, weights, &tensors)) return 0;
  ok = pth_read_tensors(&o->file, &tensors, out);
  pth_tensors_free(&tensors);
  return ok;
}

static int read_front(Old *o, Bundle *out) {
  o->front.size = o->source.size < FRONT_MAX ? o->source.size : FRONT_MAX;
  if (!(o->front.data = malloc(o->front.size + 1)))
    return fail("%s: expected memory for its pickles, found none left", o->file.path);
  Pickle weights;
  if (!source_read(&o->source, 0, o->front.data, o->front.size) || !read_head(o) || !next_pickle(o, &weights))
    return 0;
  int ok = read_tensors(o, &weights, out);
  pickle_free(&weights);
  return ok;
}

int pth_old_read(const char *path, Bundle *out) {
  Old o = {.file = {path, 0, find_storage, read_storage}};
  if (!source_open(&o.source, path)) return 0;
  int ok = read_front(&o, out);
  free(o.list);
  bytes_free(&o.front);
  source_close(&o.source);
  return ok;
}
