/* Tensors: a header (dtype, shape, offset) over a counted storage. Row-major and contiguous, always.
 *
 *   Tensor ──> Storage ──> memory          several tensors may share a storage (t[i], reshape, saved values)
 *     └─────> Var ──> Node ──> Vars ...    only on tensors that take part in a graph (see core/graph.h)
 *
 * Tensors are values: reading never copies, writing to a shared storage copies first (tensor_write), so a
 * write to one tensor never shows in another. Reference counts are atomic; everything else belongs to one
 * thread. */
#ifndef CORE_TENSOR_H
#define CORE_TENSOR_H

#include "core/device.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default) /* for the shared objects of devices */

enum { RANK_MAX = 8 };

typedef struct Storage {
  atomic_int refs;
  atomic_ulong
      version; /* counts writes: who caches something derived from the data (packed weights) compares it */
  unsigned long id; /* of all storages ever made, this one */
  Device *device;   /* whose memory data is */
  size_t bytes;
  void *data;
  void *cache;                 /* such a derived thing, owned by the storage; NULL if none */
  void (*free_cache)(void *);  /* how to free it */
  struct Storage *prev, *next; /* of the large ones in use, to be named when memory is short */
  Dtype dtype;                 /* what it was made for */
  int rank;
  long shape[RANK_MAX];
} Storage;

typedef struct Var Var;

typedef struct Tensor {
  atomic_int refs;
  Dtype dtype;
  int rank;
  unsigned long id; /* of all tensors ever made, this one */
  long shape[RANK_MAX];
  long size;      /* product of shape; 1 for rank 0 */
  long offset;    /* first element within the storage, in elements */
  Device *device; /* the storage's */
  Storage *storage;
  Var *var; /* NULL unless the tensor requires a gradient */
} Tensor;

/* Has messages about short memory name the largest tensors; core_start() calls it. */
void tensor_start(void);

/* New tensors hold one reference. NULL with a message when memory is short or the shape is negative or too
 * large. */
Tensor *tensor_on(Device *device, Dtype dtype, int rank, const long *shape); /* contents undefined */
Tensor *tensor_new(Dtype dtype, int rank, const long *shape);                /* on the CPU */
Tensor *tensor_zeros_on(Device *device, Dtype dtype, int rank, const long *shape);
Tensor *tensor_zeros(Dtype dtype, int rank, const long *shape); /* on the CPU */
Tensor *tensor_copy(const Tensor *t);                           /* own storage, no graph */
/* A second header over the same storage: elements offset .. of t, seen with another shape. */
Tensor *tensor_view(const Tensor *t, long offset, int rank, const long *shape);
Tensor *tensor_cast(const Tensor *t,
                    Dtype dtype); /* rounds to nearest even; to integers: truncates, saturates */

Tensor *tensor_retain(Tensor *t);
void tensor_release(Tensor *t);             /* NULL is allowed */
void tensor_release_all(Tensor **t, int n); /* and sets the n entries to NULL */

/* The same values on another device; a view where it is there already. From a device to the CPU it waits, and
 * fails with what the device has to say. */
Tensor *tensor_to(const Tensor *t, Device *device);

/* The first element, for reading: where t->device is not the CPU, by that device's kernels alone. */
static inline const void *tensor_data(const Tensor *t) {
  return (const char *)t->storage->data + t->device->window + (size_t)t->offset * dtype_bytes[t->dtype];
}
/* The first element, for writing: copies first when the storage is shared. NULL when memory is short. */
void *tensor_write(Tensor *t);

static inline size_t tensor_bytes(const Tensor *t) { return (size_t)t->size * dtype_bytes[t->dtype]; }
bool tensor_same_shape(const Tensor *a, const Tensor *b);
/* Whether numbers of this kind are computed with, and so may have gradients: halves on GPUs alone. */
static inline bool dtype_computes(Dtype d, const Device *on) {
  return dtype_is_real(d) || (dtype_is_half(d) && on->kind == DEVICE_CUDA);
}

/* "2x3x4" (rank 0: "scalar") into this thread's next of a few rotating buffers: for messages. */
const char *shape_text(int rank, const long *shape);
static inline const char *tensor_text(const Tensor *t) { return shape_text(t->rank, t->shape); }

#pragma GCC visibility pop

#endif
