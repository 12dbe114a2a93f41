/* Reading PyTorch's .pth and .pt files: which form a file has, and the numbers of its tensors out of
 * storages, wherever those lie; see pth.h. Nothing in a file is run. */
#include "io/pth.h"

#include "core/error.h"
#include "core/memory.h"
#include "io/kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tensors ---- */

static void put_element(const PthKind *k, int swapped, const unsigned char *from, unsigned char *to) {
  uint64_t bits = 0;
  memcpy(&bits, from, k->bytes);
  int unused = 64 - 8 * (int)k->bytes;
  if (swapped) bits = __builtin_bswap64(bits) >> unused;
  if (k->how == PTH_SIGNED) bits = (uint64_t)((int64_t)(bits << unused) >> unused);
  if (k->how == PTH_TRUTH) bits = bits != 0;
  memcpy(to, &bits, dtype_bytes[k->to]);
}

static int is_contiguous(const PthTensor *t) {
  long stride = 1;
  for (int d = t->rank - 1; d >= 0; d--) {
    if (t->shape[d] != 1 && t->stride[d] != stride) return 0;
    stride *= t->shape[d];
  }
  return 1;
}

/* The elements in row-major order, whatever their strides are. */
static void gather(const PthTensor *t, int swapped, const unsigned char *from, unsigned char *to) {
  size_t bytes = t->storage.kind->bytes, wide = dtype_bytes[t->storage.kind->to];
  long index[RANK_MAX] = {0}, at = t->offset;
  for (long i = 0; i < t->size; i++, to += wide) {
    put_element(t->storage.kind, swapped, from + (size_t)at * bytes, to);
    for (int d = t->rank - 1; d >= 0; d--) { /* the next index in row-major order */
      at += t->stride[d];
      if (++index[d] < t->shape[d]) break;
      at -= t->stride[d] * t->shape[d];
      index[d] = 0;
    }
  }
}

/* The storage's bytes, which stay until their last tensor was read. */
static int need_data(PthFile *f, PthStorage *s) {
  if (s->data) return 1;
  if (!(s->data = memory_take(s->bytes))) {
    char reason[512];
    snprintf(reason, sizeof reason, "%s", error_message());
    return fail_memory("%s: %s", f->path, reason);
  }
  return f->read(f, s, s->data);
}

static void drop_data(PthStorage *s) {
  if (s->data) memory_give(s->data, s->bytes);
  s->data = NULL;
}

static int read_tensor(PthFile *f, PthStorage *s, const PthTensor *t, Bundle *out) {
  if (!need_data(f, s)) return 0;
  Tensor *tensor = tensor_new(t->storage.kind->to, t->rank, t->shape);
  if (tensor && t->size > 0) {
    unsigned char *to = tensor_write(tensor);
    if (t->storage.kind->how == PTH_COPIED && !f->swapped && is_contiguous(t))
      memcpy(to, s->data + (size_t)t->offset * t->storage.kind->bytes, tensor_bytes(tensor));
    else
      gather(t, f->swapped, s->data, to);
  }
  if (--s->uses == 0) drop_data(s);
  return bundle_add(out, t->name, strlen(t->name), tensor);
}

/* Finds the storages; a few bytes that claim to be terabytes are refused before any is read. */
static int find_storages(PthFile *f, PthTensors *tensors, PthStorage **storages) {
  char who[600], name[256];
  for (long i = 0; i < tensors->count; i++) {
    const PthTensor *t = &tensors->list[i];
    size_t bytes;
    snprintf(who, sizeof who, "%.300s: %s", f->path,
             pickle_text(name, sizeof name, t->name, strlen(t->name)));
    if (!(storages[i] = f->find(f, who, &t->storage))) return 0;
    if (storages[i]->uses++ == 0 && !pth_spend(f->path, tensors, storages[i]->bytes)) return 0;
    if (__builtin_mul_overflow((size_t)t->size, dtype_bytes[t->storage.kind->to], &bytes) ||
        !pth_spend(f->path, tensors, bytes))
      return fail("%s: expected tensors of about the size of the file, found %s", who,
                  shape_text(t->rank, t->shape));
  }
  return 1;
}

int pth_read_tensors(PthFile *f, PthTensors *tensors, Bundle *out) {
  PthStorage **storages = malloc((size_t)tensors->count * sizeof *storages);
  if (!storages) return fail("%s: expected memory for its list of tensors, found none left", f->path);
  long found = 0;
  int ok = find_storages(f, tensors, storages);
  for (; ok && found < tensors->count; found++)
    ok = read_tensor(f, storages[found], &tensors->list[found], out);
  for (long i = 0; found > 0 && i < tensors->count; i++) drop_data(storages[i]);
  free(storages);
  return ok;
}

/* ---- files ---- */

int pth_read(const char *path, Bundle *out) {
  *out = (Bundle){0};
  Source s;
  unsigned char head[2] = {0};
  if (!source_open(&s, path)) return 0;
  int ok = s.size < 2 || source_read(&s, 0, head, 2);
  int zip = head[0] == 'P' && head[1] == 'K', old = head[0] == 0x80 && head[1] <= 5;
  if (ok && !zip && !old) ok = fail_kind(&s, "weights as torch.save writes them since PyTorch 0.1.10");
  source_close(&s);
  ok = ok && (zip ? pth_zip_read : pth_old_read)(path, out);
  if (!ok) bundle_free(out);
  return ok;
}
