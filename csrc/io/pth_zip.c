/* The zip form of torch.save since PyTorch 1.6: see pth.h. One entry ends in data.pkl, whatever folder it is
 * in; the storages lie beside it under data/. */
#include "core/error.h"
#include "core/memory.h"
#include "io/pth.h"
#include "io/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICKLE_MAX = 1 << 26 };

typedef struct Archive {
  PthFile file;
  Zip zip;
  PthStorage *storages; /* one per entry, used or not */
  const ZipEntry *pickle;
  size_t top; /* bytes of the folder that data.pkl is in, slash included */
} Archive;

/* ---- entries ---- */

/* The entry TOP/folder+name, or NULL. */
static const ZipEntry *find(const Archive *a, const char *folder, const char *name, size_t size) {
  char path[1200];
  size_t folder_size = strlen(folder), all = a->top + folder_size + size;
  if (all > sizeof path) return NULL; /* torch.save numbers its storages */
  memcpy(path, a->pickle->name, a->top);
  memcpy(path + a->top, folder, folder_size);
  memcpy(path + a->top + folder_size, name, size);
  long low = 0, high = a->zip.count;
  while (low < high) {
    long middle = low + (high - low) / 2;
    const ZipEntry *e = &a->zip.entries[middle];
    int order = bytes_order(e->name, e->name_size, path, all);
    if (order == 0) return e;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

static int find_pickle(Archive *a) {
  for (long i = 0; i < a->zip.count; i++) {
    const ZipEntry *e = &a->zip.entries[i];
    if (e->name_size < 8 || memcmp(e->name + e->name_size - 8, "data.pkl", 8) != 0) continue;
    if (e->name_size > 8 && e->name[e->name_size - 9] != '/') continue;
    if (a->pickle) return fail("%s: expected one data.pkl, found more", a->file.path);
    a->pickle = e;
    a->top = e->name_size - 8;
  }
  return a->pickle ? 1
                   : fail("%s: expected an entry data.pkl as torch.save writes it, found none", a->file.path);
}

static int read_entry(const Archive *a, const ZipEntry *e, void *data) {
  ZipStream z;
  char label[512], name[200];
  snprintf(label, sizeof label, "%.300s: %s", a->file.path,
           pickle_text(name, sizeof name, e->name, e->name_size));
  if (!zip_begin(&z, &a->zip, e, label)) return 0;
  int ok = z.stream.take(&z.stream, data, e->size) && zip_intact(&z);
  zip_finish(&z);
  return ok;
}

static int read_byteorder(Archive *a) {
  const ZipEntry *e = find(a, "byteorder", "", 0);
  char text[7] = "";
  if (!e) return 1;
  if (e->size < sizeof text && !read_entry(a, e, text)) return 0;
  a->file.swapped = strcmp(text, "big") == 0;
  return a->file.swapped || strcmp(text, "little") == 0 ||
         fail("%s: expected a byteorder of little or big, found another", a->file.path);
}

/* ---- storages ---- */

static PthStorage *find_storage(PthFile *f, const char *who, const PthReference *r) {
  Archive *a = (Archive *)f;
  const ZipEntry *e = find(a, "data/", r->key, r->key_size);
  char key[64];
  pickle_text(key, sizeof key, r->key, r->key_size);
  if (!e) {
    fail("%s: expected an entry data/%s, found none", who, key);
    return NULL;
  }
  if (e->size != r->bytes) {
    fail("%s: expected %zu bytes in data/%s, found %zu", who, r->bytes, key, e->size);
    return NULL;
  }
  PthStorage *s = &a->storages[e - a->zip.entries];
  s->bytes = e->size;
  return s;
}

static int read_storage(PthFile *f, PthStorage *s, unsigned char *data) {
  Archive *a = (Archive *)f;
  return read_entry(a, &a->zip.entries[s - a->storages], data);
}

/* ---- the whole ---- */

static int read_tensors(Archive *a, const unsigned char *text, Bundle *out) {
  Pickle pickle;
  PthTensors tensors;
  if (!pickle_read(a->file.path, text, a->pickle->size, pth_allowed, &pickle)) return 0;
  int ok = pth_tensors(a->file.path, a->zip.source.size, &pickle, &tensors);
  pickle_free(&pickle);
  if (!ok) return 0;
  ok = pth_read_tensors(&a->file, &tensors, out);
  pth_tensors_free(&tensors);
  return ok;
}

static int read_archive(Archive *a, Bundle *out) {
  if (!find_pickle(a) || !read_byteorder(a)) return 0;
  size_t size = a->pickle->size, most = pth_budget(a->zip.source.size);
  if (most > PICKLE_MAX) most = PICKLE_MAX;
  if (size > most)
    return fail("%s: expected a data.pkl of at most %zu bytes, found %zu", a->file.path, most, size);
  a->storages = calloc((size_t)a->zip.count, sizeof *a->storages);
  unsigned char *text = a->storages ? malloc(size + 1) : NULL;
  if (!text) return fail("%s: expected memory for its data.pkl, found none left", a->file.path);
  int ok = read_entry(a, a->pickle, text) && read_tensors(a, text, out);
  free(text);
  return ok;
}

int pth_zip_read(const char *path, Bundle *out) {
  Archive a = {.file = {path, 0, find_storage, read_storage}};
  if (!zip_open(&a.zip, path)) return 0;
  int ok = read_archive(&a, out);
  free(a.storages);
  zip_close(&a.zip);
  return ok;
}
