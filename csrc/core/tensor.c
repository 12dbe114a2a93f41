/* Storages and tensor headers: counting, sharing, copy before write, casting. */
#include "core/tensor.h"

#include "core/device.h"
#include "core/error.h"
#include "core/graph.h"
#include "core/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const size_t dtype_bytes[DTYPES] = {4, 8, 1, 4, 8, 2, 2};
const char *const dtype_name[DTYPES] = {"float32", "float64",  "uint8",  "int32",
                                        "int64",   "bfloat16", "float16"};

/* ---- storages, and the large ones among them ---- */

enum { LARGE = 1 << 18, NAMED = 3 };

static pthread_mutex_t large_lock = PTHREAD_MUTEX_INITIALIZER;
static Storage *large;

static void list_large(Storage *s) {
  pthread_mutex_lock(&large_lock);
  s->next = large;
  if (large) large->prev = s;
  large = s;
  pthread_mutex_unlock(&large_lock);
}

static void unlist_large(Storage *s) {
  pthread_mutex_lock(&large_lock);
  if (s->next) s->next->prev = s->prev;
  if (s->prev)
    s->prev->next = s->next;
  else
    large = s->next;
  pthread_mutex_unlock(&large_lock);
}

/* Adds to the message which tensors hold most of a device's memory. */
static void name_largest_of(const Device *device) {
  const Storage *top[NAMED] = {NULL};
  char text[1024];
  int n = 0;
  pthread_mutex_lock(&large_lock);
  for (const Storage *s = large; s; s = s->next) {
    const Storage *t = s->device == device ? s : NULL;
    for (int i = 0; i < NAMED && t; i++)
      if (!top[i] || t->bytes > top[i]->bytes) {
        const Storage *smaller = top[i];
        top[i] = t;
        t = smaller;
      }
  }
  for (int i = 0; i < NAMED && top[i]; i++)
    n += snprintf(text + n, sizeof text - (size_t)n, "%s%s %s (%.1f MB)",
                  i ? ", " : "; the largest: ", dtype_name[top[i]->dtype],
                  shape_text(top[i]->rank, top[i]->shape), (double)top[i]->bytes / 1e6);
  pthread_mutex_unlock(&large_lock);
  if (n) fail_memory("%s%s", error_message(), text);
}

static void name_largest(void) { name_largest_of(device_cpu()); }

void tensor_start(void) { memory_set_census(name_largest); }

static atomic_ulong made; /* tensors and storages so far */

/* A storage for the elements of t; `sent`: the host's memory that they come from, NULL: undefined. */
static Storage *storage_new(const Tensor *t, const void *sent) {
  Storage *s = calloc(1, sizeof *s);
  if (!s) {
    fail_memory("out of memory: %zu bytes asked for", sizeof *s);
    return NULL;
  }
  s->bytes = tensor_bytes(t);
  s->device = t->device;
  s->data = sent ? s->device->send(s->device, sent, s->bytes) : s->device->take(s->device, s->bytes);
  if (!s->data) {
    if (s->device != device_cpu() && failed_for_memory()) name_largest_of(s->device);
    free(s);
    return NULL;
  }
  atomic_init(&s->refs, 1);
  s->id = atomic_fetch_add(&made, 1) + 1;
  s->dtype = t->dtype;
  s->rank = t->rank;
  memcpy(s->shape, t->shape, sizeof s->shape);
  if (s->bytes >= LARGE) list_large(s);
  return s;
}

static void storage_release(Storage *s) {
  if (!s || atomic_fetch_sub(&s->refs, 1) > 1) return;
  if (s->bytes >= LARGE) unlist_large(s);
  if (s->cache) s->free_cache(s->cache);
  s->device->give(s->device, s->data, s->bytes);
  free(s);
}

/* The product of the sizes, or -1 when it is negative or beyond what memory can address. Sizes of 0 do not
 * make up for the others (NumPy's rule): whoever multiplies any sizes of a tensor need not fear overflow. */
static long product(int rank, const long *shape) {
  long n = 1;
  bool empty = false;
  for (int i = 0; i < rank; i++) {
    if (shape[i] < 0 || __builtin_mul_overflow(n, shape[i] > 0 ? shape[i] : 1, &n)) return -1;
    empty = empty || shape[i] == 0;
  }
  return n > (1L << 48) ? -1 : empty ? 0 : n;
}

/* A header without a storage. */
static Tensor *header(Device *device, Dtype dtype, int rank, const long *shape) {
  if (rank < 0 || rank > RANK_MAX) {
    fail("tensor: expected at most %d dimensions, found %d", RANK_MAX, rank);
    return NULL;
  }
  long size = product(rank, shape);
  if (size < 0) {
    fail("tensor: expected a shape that memory can hold, found %s", shape_text(rank, shape));
    return NULL;
  }
  Tensor *t = calloc(1, sizeof *t);
  if (!t) {
    fail_memory("out of memory: %zu bytes asked for", sizeof *t);
    return NULL;
  }
  atomic_init(&t->refs, 1);
  t->id = atomic_fetch_add(&made, 1) + 1;
  t->device = device;
  t->dtype = dtype;
  t->rank = rank;
  t->size = size;
  for (int i = 0; i < rank; i++) t->shape[i] = shape[i];
  return t;
}

static Tensor *make(Device *device, Dtype dtype, int rank, const long *shape, const void *sent) {
  Tensor *t = header(device, dtype, rank, shape);
  if (t && !(t->storage = storage_new(t, sent))) {
    free(t);
    return NULL;
  }
  return t;
}

Tensor *tensor_on(Device *device, Dtype dtype, int rank, const long *shape) {
  return make(device, dtype, rank, shape, NULL);
}

Tensor *tensor_new(Dtype dtype, int rank, const long *shape) {
  return tensor_on(device_cpu(), dtype, rank, shape);
}

Tensor *tensor_zeros_on(Device *device, Dtype dtype, int rank, const long *shape) {
  Tensor *t = tensor_on(device, dtype, rank, shape);
  if (t && !device->fill(device, t->storage->data, NULL, dtype_bytes[dtype], t->size)) {
    tensor_release(t);
    return NULL;
  }
  return t;
}

Tensor *tensor_zeros(Dtype dtype, int rank, const long *shape) {
  return tensor_zeros_on(device_cpu(), dtype, rank, shape);
}

static Tensor *copy_on(Device *device, const Tensor *t) {
  const bool sent = device_sends(device, t->device, tensor_bytes(t));
  Tensor *c = make(device, t->dtype, t->rank, t->shape, sent ? tensor_data(t) : NULL);
  if (c && !sent && !device_copy(device, c->storage->data, t->device, tensor_data(t), tensor_bytes(t))) {
    tensor_release(c);
    return NULL;
  }
  return c;
}

Tensor *tensor_copy(const Tensor *t) { return copy_on(t->device, t); }

Tensor *tensor_to(const Tensor *t, Device *device) {
  return t->device == device ? tensor_view(t, 0, t->rank, t->shape) : copy_on(device, t);
}

Tensor *tensor_view(const Tensor *t, long offset, int rank, const long *shape) {
  Tensor *v = header(t->device, t->dtype, rank, shape);
  if (!v) return NULL;
  if (offset < 0 || offset + v->size > t->size) {
    fail("view: expected elements within %ld, found %ld .. %ld", t->size, offset, offset + v->size);
    free(v);
    return NULL;
  }
  v->offset = t->offset + offset;
  v->storage = t->storage;
  if (v->storage) atomic_fetch_add(&v->storage->refs, 1);
  return v;
}

Tensor *tensor_retain(Tensor *t) {
  atomic_fetch_add(&t->refs, 1);
  return t;
}

void tensor_release(Tensor *t) {
  if (!t || atomic_fetch_sub(&t->refs, 1) > 1) return;
  Var *var = t->var;
  storage_release(t->storage);
  free(t);
  if (var) var_release(var);
}

void tensor_release_all(Tensor **t, int n) {
  for (int i = 0; i < n; i++) {
    tensor_release(t[i]);
    t[i] = NULL;
  }
}

void *tensor_write(Tensor *t) {
  if (atomic_load(&t->storage->refs) > 1) {
    if (t->storage->id < t->device->recording)
      return fail("%s: recording: expected a tensor of its own to write to, found a shared one",
                  t->device->name),
             NULL;
    Storage *own = storage_new(t, NULL);
    if (!own) return NULL;
    if (!t->device->copy(t->device, own->data, tensor_data(t), tensor_bytes(t))) {
      storage_release(own);
      return NULL;
    }
    storage_release(t->storage);
    t->storage = own;
    t->offset = 0;
  }
  atomic_fetch_add(&t->storage->version, 1);
  return (char *)t->storage->data + t->device->window + (size_t)t->offset * dtype_bytes[t->dtype];
}

bool tensor_same_shape(const Tensor *a, const Tensor *b) {
  return a->rank == b->rank && !memcmp(a->shape, b->shape, sizeof(long) * (size_t)a->rank);
}

const char *shape_text(int rank, const long *shape) {
  enum { TEXTS = 8, LENGTH = RANK_MAX * 21 };
  static _Thread_local char text[TEXTS][LENGTH];
  static _Thread_local int next;
  char *s = text[next = (next + 1) % TEXTS];
  int n = 0;
  if (rank == 0) return "scalar";
  for (int i = 0; i < rank && n < LENGTH; i++)
    n += snprintf(s + n, (size_t)(LENGTH - n), i ? "x%ld" : "%ld", shape[i]);
  return s;
}
