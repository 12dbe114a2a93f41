/* NumPy's .npz: a zip file of .npy entries. Entries of other kinds are passed over. */
#include "io/array.h"

#include "core/error.h"
#include "io/digest.h"
#include "io/zip.h"

#include <stdio.h>
#include <string.h>

static Tensor *read_entry(const Zip *zip, const ZipEntry *e, const char *label, size_t room) {
  ZipStream z;
  if (!zip_begin(&z, zip, e, label)) return NULL;
  z.stream.room = room;
  Tensor *t = npy_parse(&z.stream);
  if (t && !zip_intact(&z)) {
    tensor_release(t);
    t = NULL;
  }
  zip_finish(&z);
  return t;
}

/* *room: what the arrays may still take,
 * which is more than their bytes in the file where they are widened. */
static int add_entry(const Zip *zip, const ZipEntry *e, size_t *room, Bundle *out) {
  const char *path = zip->source.path;
  if (e->name_size < 5 || memcmp(e->name + e->name_size - 4, ".npy", 4) != 0) return 1;
  if (memchr(e->name, 0, e->name_size))
    return fail("%s: expected printable entry names, found a zero byte", path);
  char label[512];
  snprintf(label, sizeof label, "%s: %.*s", path, e->name_size < 200 ? (int)e->name_size : 200, e->name);
  Tensor *t = read_entry(zip, e, label, *room);
  if (t) *room -= tensor_bytes(t);
  return bundle_add(out, e->name, e->name_size - 4, t);
}

int npz_read(const char *path, Bundle *out) {
  *out = (Bundle){0};
  Zip zip;
  if (!zip_open(&zip, path)) return 0;
  size_t room = zip_room(zip.source.size);
  int ok = 1;
  for (long i = 0; ok && i < zip.count; i++) ok = add_entry(&zip, &zip.entries[i], &room, out);
  zip_close(&zip);
  if (!ok) bundle_free(out);
  return ok;
}

int npz_digest(const char *path, char out[33]) {
  Zip zip;
  Bytes sums = {0};
  if (!zip_open(&zip, path)) return 0;
  int ok = 1;
  for (long i = 0; ok && i < zip.count; i++) {
    const ZipEntry *e = &zip.entries[i];
    ok = bytes_add(&sums, e->name, e->name_size) && bytes_add(&sums, &e->crc, sizeof e->crc) &&
         bytes_add(&sums, &e->size, sizeof e->size);
  }
  if (ok) digest(sums.data, sums.size, out);
  bytes_free(&sums);
  zip_close(&zip);
  return ok;
}
