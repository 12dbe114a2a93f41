/* NumPy's .npz: a zip file of .npy entries. Entries of other kinds are passed over. */
#include "io/array.h"

#include "core/error.h"
#include "io/zip.h"

#include <stdio.h>
#include <string.h>

static Tensor *read_entry(const Zip *zip, const ZipEntry *e, const char *label) {
  ZipStream z;
  if (!zip_begin(&z, zip, e, label)) return NULL;
  Tensor *t = npy_parse(&z.stream);
  if (t && !zip_intact(&z)) {
    tensor_release(t);
    t = NULL;
  }
  zip_finish(&z);
  return t;
}

static int add_entry(const Zip *zip, const ZipEntry *e, Bundle *out) {
  const char *path = zip->source.path;
  if (e->name_size < 5 || memcmp(e->name + e->name_size - 4, ".npy", 4) != 0) return 1;
  if (memchr(e->name, 0, e->name_size))
    return fail("%s: expected printable entry names, found a zero byte", path);
  char label[512];
  snprintf(label, sizeof label, "%s: %.*s", path, e->name_size < 200 ? (int)e->name_size : 200, e->name);
  return bundle_add(out, e->name, e->name_size - 4, read_entry(zip, e, label));
}

int npz_read(const char *path, Bundle *out) {
  *out = (Bundle){0};
  Zip zip;
  if (!zip_open(&zip, path)) return 0;
  int ok = 1;
  while (ok && zip_more(&zip)) {
    ZipEntry e;
    ok = zip_next(&zip, &e) && add_entry(&zip, &e, out);
  }
  zip_close(&zip);
  if (!ok) bundle_free(out);
  return ok;
}
