/* Reading PyTorch's .pth and .pt files (the zip form of torch.save since 1.6): the archive, its storages and
 * the tensors in them; see pth.h. Files of older versions are recognised and refused. Nothing in a file is
 * run. */
#include "io/pth.h"

#include "core/error.h"
#include "core/memory.h"
#include "io/array.h"
#include "io/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICKLE_MAX = 1 << 26 };

/* An entry of the archive; a storage's bytes while tensors still need them. */
typedef struct Record {
  ZipEntry entry;
  unsigned char *data;
  long uses;
} Record;

typedef struct Archive {
  Zip zip;
  Record *records; /* sorted by name */
  long count, room;
  size_t top;  /* bytes of the folder that data.pkl is in, slash included */
  int swapped; /* big-endian numbers */
} Archive;

static const char *path_of(const Archive *a) { return a->zip.source.path; }

/* ---- the archive ---- */

static int compare(const char *a, size_t n, const char *b, size_t m) {
  int order = memcmp(a, b, n < m ? n : m);
  return order ? order : (n > m) - (n < m);
}

static int by_name(const void *a, const void *b) {
  const ZipEntry *x = &((const Record *)a)->entry, *y = &((const Record *)b)->entry;
  return compare(x->name, x->name_size, y->name, y->name_size);
}

static int list_records(Archive *a) {
  while (zip_more(&a->zip)) {
    if (a->count == a->room) {
      long room = a->room ? 2 * a->room : 256;
      Record *more = realloc(a->records, (size_t)room * sizeof *more);
      if (!more) return fail("%s: expected memory for its directory, found none left", path_of(a));
      a->records = more;
      a->room = room;
    }
    a->records[a->count] = (Record){0};
    if (!zip_next(&a->zip, &a->records[a->count].entry)) return 0;
    a->count++;
  }
  if (a->count) qsort(a->records, (size_t)a->count, sizeof *a->records, by_name);
  for (long i = 1; i < a->count; i++)
    if (by_name(&a->records[i - 1], &a->records[i]) == 0)
      return fail("%s: expected entries of different names, found one twice", path_of(a));
  return 1;
}

typedef struct Span {
  const char *text;
  size_t size;
} Span;

/* compare() of an entry's name with three pieces in a row, which needs no memory. */
static int order(const ZipEntry *e, const Span piece[3]) {
  const char *at = e->name;
  size_t left = e->name_size;
  for (int i = 0; i < 3; i++) {
    size_t n = left < piece[i].size ? left : piece[i].size;
    int difference = memcmp(at, piece[i].text, n);
    if (difference || n < piece[i].size) return difference ? difference : -1;
    at += n;
    left -= n;
  }
  return left > 0;
}

/* The entry TOP/folder+name, or NULL. */
static Record *find(const Archive *a, const Record *pickle, const char *folder, const char *name,
                    size_t size) {
  const Span path[3] = {{pickle->entry.name, a->top}, {folder, strlen(folder)}, {name, size}};
  long low = 0, high = a->count;
  while (low < high) {
    long middle = low + (high - low) / 2;
    if (order(&a->records[middle].entry, path) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < a->count && order(&a->records[low].entry, path) == 0 ? &a->records[low] : NULL;
}

/* The entry that ends in data.pkl, whatever folder it is in. */
static Record *find_pickle(Archive *a) {
  Record *found = NULL;
  for (long i = 0; i < a->count; i++) {
    const ZipEntry *e = &a->records[i].entry;
    if (e->name_size < 8 || memcmp(e->name + e->name_size - 8, "data.pkl", 8) != 0) continue;
    if (e->name_size > 8 && e->name[e->name_size - 9] != '/') continue;
    if (found) {
      fail("%s: expected one data.pkl, found more", path_of(a));
      return NULL;
    }
    found = &a->records[i];
    a->top = e->name_size - 8;
  }
  if (!found) fail("%s: expected an entry data.pkl as torch.save writes it, found none", path_of(a));
  return found;
}

/* All bytes of an entry into memory of memory_take. */
static unsigned char *read_record(const Archive *a, const Record *r) {
  ZipStream z;
  char label[512], name[200];
  const ZipEntry *e = &r->entry;
  snprintf(label, sizeof label, "%.300s: %s", path_of(a),
           pickle_text(name, sizeof name, e->name, e->name_size));
  unsigned char *data = memory_take(e->size);
  if (!data) {
    char reason[256];
    snprintf(reason, sizeof reason, "%s", error_message());
    fail("%s: %s", label, reason);
    return NULL;
  }
  int ok = zip_begin(&z, &a->zip, e, label);
  if (ok) {
    ok = z.stream.take(&z.stream, data, e->size) && zip_intact(&z);
    zip_finish(&z);
  }
  if (ok) return data;
  memory_give(data, e->size);
  return NULL;
}

static int read_byteorder(Archive *a, const Record *pickle) {
  const Record *r = find(a, pickle, "byteorder", "", 0);
  if (!r) return 1;
  if (r->entry.size > 6) return fail("%s: expected a byteorder of little or big, found another", path_of(a));
  char text[7] = "";
  unsigned char *data = read_record(a, r);
  if (!data) return 0;
  memcpy(text, data, r->entry.size);
  memory_give(data, r->entry.size);
  a->swapped = strcmp(text, "big") == 0;
  return a->swapped || strcmp(text, "little") == 0 ||
         fail("%s: expected a byteorder of little or big, found another", path_of(a));
}

/* ---- tensors ---- */

static Record *storage_of(const Archive *a, const Record *pickle, const PthTensor *t) {
  Record *r = find(a, pickle, "data/", t->key, t->key_size);
  char key[64];
  pickle_text(key, sizeof key, t->key, t->key_size);
  if (!r) {
    fail("%s: %.200s: expected an entry data/%s, found none", path_of(a), t->name, key);
    return NULL;
  }
  if (r->entry.size == t->storage_bytes) return r;
  fail("%s: %.200s: expected %zu bytes in data/%s, found %zu", path_of(a), t->name, t->storage_bytes, key,
       (size_t)r->entry.size);
  return NULL;
}

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
  size_t bytes = t->kind->bytes, wide = dtype_bytes[t->kind->to];
  long index[RANK_MAX] = {0}, at = t->offset;
  for (long i = 0; i < t->size; i++, to += wide) {
    put_element(t->kind, swapped, from + (size_t)at * bytes, to);
    for (int d = t->rank - 1; d >= 0; d--) { /* the next index in row-major order */
      at += t->stride[d];
      if (++index[d] < t->shape[d]) break;
      at -= t->stride[d] * t->shape[d];
      index[d] = 0;
    }
  }
}

static int read_tensor(const Archive *a, Record *r, const PthTensor *t, Bundle *out) {
  if (!r->data && !(r->data = read_record(a, r))) return 0;
  Tensor *tensor = tensor_new(t->kind->to, t->rank, t->shape);
  if (tensor && t->size > 0) {
    unsigned char *to = tensor_write(tensor);
    if (t->kind->how == PTH_COPIED && !a->swapped && is_contiguous(t))
      memcpy(to, r->data + (size_t)t->offset * t->kind->bytes, tensor_bytes(tensor));
    else
      gather(t, a->swapped, r->data, to);
  }
  if (--r->uses == 0) {
    memory_give(r->data, r->entry.size);
    r->data = NULL;
  }
  return bundle_add(out, t->name, strlen(t->name), tensor);
}

/* Tensors may share storages, but a few bytes that claim to be terabytes are refused. */
static int check_sizes(Archive *a, const Record *pickle, const PthTensors *tensors, Record **storages) {
  size_t held = 1 << 24, wanted = 0;
  for (long i = 0; i < tensors->count; i++) {
    const PthTensor *t = &tensors->list[i];
    size_t bytes;
    if (!(storages[i] = storage_of(a, pickle, t))) return 0;
    if (storages[i]->uses++ == 0) held += 8 * t->storage_bytes;
    if (__builtin_mul_overflow((size_t)t->size, dtype_bytes[t->kind->to], &bytes) ||
        __builtin_add_overflow(wanted, bytes, &wanted) || wanted > held)
      return fail("%s: %.200s: expected tensors of about the size of the file, found %s", path_of(a), t->name,
                  shape_text(t->rank, t->shape));
  }
  return 1;
}

static int read_tensors(Archive *a, const Record *pickle, const PthTensors *tensors, Bundle *out) {
  Record **storages = malloc((size_t)tensors->count * sizeof *storages);
  if (!storages) return fail("%s: expected memory for its list of tensors, found none left", path_of(a));
  int ok = check_sizes(a, pickle, tensors, storages);
  for (long i = 0; ok && i < tensors->count; i++) ok = read_tensor(a, storages[i], &tensors->list[i], out);
  free(storages);
  return ok;
}

static int read_archive(Archive *a, Bundle *out) {
  Record *pickle;
  Pickle tree;
  PthTensors tensors;
  if (!list_records(a) || !(pickle = find_pickle(a)) || !read_byteorder(a, pickle)) return 0;
  if (pickle->entry.size > PICKLE_MAX)
    return fail("%s: expected a data.pkl of at most 64 MiB, found %zu bytes", path_of(a),
                (size_t)pickle->entry.size);
  unsigned char *text = read_record(a, pickle);
  if (!text) return 0;
  int ok = pickle_read(path_of(a), text, pickle->entry.size, pth_allowed, &tree);
  if (ok) {
    ok = pth_tensors(path_of(a), &tree, &tensors);
    pickle_free(&tree);
  }
  if (ok) {
    ok = read_tensors(a, pickle, &tensors, out);
    pth_tensors_free(&tensors);
  }
  memory_give(text, pickle->entry.size);
  return ok;
}

/* Before PyTorch 1.6 a file was pickles one after the other; before 0.1.10 a tar file. */
static int check_form(const char *path) {
  Source s;
  unsigned char head[2] = {0};
  if (!source_open(&s, path)) return 0;
  int ok = s.size < 2 || source_read(&s, 0, head, 2);
  source_close(&s);
  if (ok && head[0] == 0x80 && head[1] <= 5)
    return fail(
        "%s: expected the zip form of PyTorch 1.6 and later, found the older one (load it there and save it "
        "again)",
        path);
  return ok;
}

int pth_read(const char *path, Bundle *out) {
  *out = (Bundle){0};
  Archive a = {0};
  if (!check_form(path) || !zip_open(&a.zip, path)) return 0;
  int ok = read_archive(&a, out);
  for (long i = 0; i < a.count; i++)
    if (a.records[i].data) memory_give(a.records[i].data, a.records[i].entry.size);
  free(a.records);
  zip_close(&a.zip);
  if (!ok) bundle_free(out);
  return ok;
}
