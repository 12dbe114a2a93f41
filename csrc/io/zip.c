/* Zip files as .npz and .pth use them: see zip.h (PKWARE APPNOTE 6.3.9: end record, central directory, zip64
 * extras). */
#include "io/zip.h"

#include "core/error.h"
#include "io/kind.h"
#include "io/pickle.h"

#include <stdlib.h>
#include <string.h>

enum {
  LOCAL = 0x04034b50,
  CENTRAL = 0x02014b50,
  END = 0x06054b50,
  END64 = 0x06064b50,
  LOCATOR64 = 0x07064b50
};
enum { DIRECTORY_MAX = 1 << 26 };
static const uint64_t RATIO = 1032; /* deflate cannot expand more */

static uint64_t number(const unsigned char *at, int bytes) {
  uint64_t value = 0;
  memcpy(&value, at, (size_t)bytes);
  return value;
}

/* ---- the directory ---- */

/* A zip file without its end, or another file. */
static int no_directory(const Source *s) {
  unsigned char head[4] = {0};
  if (s->size >= 4 && !source_read(s, 0, head, 4)) return 0;
  return number(head, 4) == LOCAL
             ? fail("%s: expected a zip file, found no zip directory (truncated?)", s->path)
             : fail_kind(s, "a zip file");
}

/* Finds the end record (the last 22 bytes unless there is a comment) and from it the directory. */
static int find_directory(const Source *s, uint64_t *offset, uint64_t *size) {
  unsigned char tail[22 + 65535], locator[20], end64[56];
  size_t n = s->size < sizeof tail ? s->size : sizeof tail, at = n >= 22 ? n - 22 : 0;
  if (n < 22) return no_directory(s);
  if (!source_read(s, s->size - n, tail, n)) return 0;
  while (number(tail + at, 4) != END || number(tail + at + 20, 2) > n - at - 22)
    if (at-- == 0) return no_directory(s);
  *size = number(tail + at + 12, 4);
  *offset = number(tail + at + 16, 4);
  size_t end = s->size - n + at;
  if (end >= 20 && source_read(s, end - 20, locator, 20) && number(locator, 4) == LOCATOR64) {
    uint64_t where = number(locator + 8, 8);
    if (where > s->size || !source_read(s, where, end64, 56) || number(end64, 4) != END64)
      return fail("%s: expected a zip64 end record, found none", s->path);
    *size = number(end64 + 40, 8);
    *offset = number(end64 + 48, 8);
  }
  if (*offset > end || *size > end - *offset || *size > DIRECTORY_MAX)
    return fail("%s: expected a zip directory within the file, found %llu bytes at %llu", s->path,
                (unsigned long long)*size, (unsigned long long)*offset);
  return 1;
}

/* zip64's extra field holds, in this order, those of size, packed and offset that did not fit. */
static void widen(ZipEntry *e, const unsigned char *extra, size_t left) {
  for (; left >= 4; left -= 4) {
    size_t id = number(extra, 2), n = number(extra + 2, 2);
    extra += 4;
    if (n > left - 4) return;
    uint64_t *fields[] = {&e->size, &e->packed, &e->offset};
    for (size_t i = 0, at = 0; id == 1 && i < 3; i++)
      if (*fields[i] == UINT32_MAX && at + 8 <= n) {
        *fields[i] = number(extra + at, 8);
        at += 8;
      }
    extra += n;
    left -= n;
  }
}

/* The entry at *at, which moves on to the next. */
static int next_entry(const Source *s, const Bytes *directory, size_t *at, ZipEntry *e) {
  const unsigned char *d = directory->data + *at;
  size_t left = directory->size - *at, name, extra;
  if (left < 46 || number(d, 4) != CENTRAL || (name = number(d + 28, 2)) > left - 46 ||
      (extra = number(d + 30, 2)) > left - 46 - name || number(d + 32, 2) > left - 46 - name - extra)
    return fail("%s: expected an intact zip directory, found damage at byte %zu", s->path, *at);
  *e = (ZipEntry){(const char *)d + 46,
                  name,
                  (unsigned)number(d + 8, 2),
                  (unsigned)number(d + 10, 2),
                  (uint32_t)number(d + 16, 4),
                  number(d + 20, 4),
                  number(d + 24, 4),
                  number(d + 42, 4),
                  0};
  widen(e, d + 46 + name, extra);
  *at += 46 + name + extra + (size_t)number(d + 32, 2);
  return 1;
}

/* ---- all entries ---- */

static int by_name(const void *a, const void *b) {
  const ZipEntry *x = a, *y = b;
  return bytes_order(x->name, x->name_size, y->name, y->name_size);
}

static int by_offset(const void *a, const void *b) {
  const ZipEntry *x = a, *y = b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

static int list_entries(Zip *z) {
  long room = 0;
  for (size_t at = 0; at < z->directory.size; z->count++) {
    if (z->count == room) {
      room = room ? 2 * room : 64;
      ZipEntry *more = realloc(z->entries, (size_t)room * sizeof *more);
      if (!more) return fail("%s: expected memory for its directory, found none left", z->source.path);
      z->entries = more;
    }
    if (!next_entry(&z->source, &z->directory, &at, &z->entries[z->count])) return 0;
  }
  return 1;
}

/* Entries lie one after the other before the directory: those that share bytes are a bomb. */
static int check_places(Zip *z, uint64_t directory) {
  const char *path = z->source.path;
  qsort(z->entries, (size_t)z->count, sizeof *z->entries, by_offset);
  for (long i = 0; i < z->count; i++) {
    ZipEntry *e = &z->entries[i];
    e->end = i + 1 < z->count ? e[1].offset : directory;
    if (e->end > directory)
      return fail("%s: expected zip entries before the directory, found one behind", path);
    if (e->offset > e->end || e->end - e->offset < 30 + e->name_size ||
        e->packed > e->end - e->offset - 30 - e->name_size)
      return fail("%s: expected zip entries that do not overlap, found %zu bytes at %zu", path, e->packed,
                  e->offset);
  }
  return 1;
}

static int check_sizes(const Zip *z) {
  uint64_t left = zip_room(z->source.size);
  for (long i = 0; i < z->count; i++) {
    if (z->entries[i].size > left)
      return fail("%s: expected entries of at most %zu bytes in all, found more (a file of this size may "
                  "unpack to 64 MiB and 64 times itself: save large arrays that hardly vary uncompressed)",
                  z->source.path, zip_room(z->source.size));
    left -= z->entries[i].size;
  }
  return 1;
}

static int check_names(Zip *z) {
  char name[200];
  qsort(z->entries, (size_t)z->count, sizeof *z->entries, by_name);
  for (long i = 1; i < z->count; i++)
    if (by_name(&z->entries[i - 1], &z->entries[i]) == 0)
      return fail("%s: expected entries of different names, found %s twice", z->source.path,
                  pickle_text(name, sizeof name, z->entries[i].name, z->entries[i].name_size));
  return 1;
}

/* ---- one entry ---- */

static int inflate_some(ZipStream *z, void *to, size_t size) {
  z->z.next_out = to;
  z->z.avail_out = (uInt)size;
  while (z->z.avail_out > 0) {
    if (z->z.avail_in == 0) {
      size_t n = z->packed < sizeof z->input ? (size_t)z->packed : sizeof z->input;
      if (n == 0) return fail("%s: expected more deflated bytes, found the end", z->stream.name);
      if (!source_read(z->source, z->at, z->input, n)) return 0;
      z->z.next_in = z->input;
      z->z.avail_in = (uInt)n;
      z->at += n;
      z->packed -= n;
    }
    int status = inflate(&z->z, Z_NO_FLUSH);
    if (status == Z_STREAM_END && z->z.avail_out > 0)
      return fail("%s: expected %u more bytes, found the end of the deflated data", z->stream.name,
                  z->z.avail_out);
    if (status == Z_MEM_ERROR) return fail("%s: expected memory for zlib, found none left", z->stream.name);
    if (status != Z_OK && status != Z_STREAM_END)
      return fail("%s: expected intact deflated data, found: %s", z->stream.name,
                  z->z.msg ? z->z.msg : "damage");
  }
  return 1;
}

static int take(Stream *s, void *to, size_t size) {
  ZipStream *z = (ZipStream *)s;
  for (char *at = to; size > 0;) {
    size_t n = size < (1 << 24) ? size : (1 << 24);
    if (z->deflated ? !inflate_some(z, at, n) : !source_read(z->source, z->at, at, n)) return 0;
    if (!z->deflated) z->at += n;
    z->crc = crc32(z->crc, (const Bytef *)at, (uInt)n);
    s->left -= n;
    at += n;
    size -= n;
  }
  return 1;
}

/* Where the packed bytes start: behind the local header, whose name and extra field may differ in length. */
static int locate(const Source *s, const ZipEntry *e, uint64_t *start) {
  unsigned char head[30];
  if (e->offset > s->size || !source_read(s, e->offset, head, 30)) return 0;
  if (number(head, 4) != LOCAL)
    return fail("%s: expected a zip entry at byte %zu, found none", s->path, e->offset);
  *start = e->offset + 30 + number(head + 26, 2) + number(head + 28, 2);
  if (*start > e->end || e->packed > e->end - *start)
    return fail("%s: expected zip entries that do not overlap, found %zu bytes at %zu", s->path, e->packed,
                *start);
  return 1;
}

int zip_begin(ZipStream *z, const Zip *zip, const ZipEntry *e, const char *label) {
  const Source *s = &zip->source;
  *z = (ZipStream){.stream = {take, label, e->size, 0},
                   .source = s,
                   .packed = e->packed,
                   .deflated = e->method == 8,
                   .wanted = e->crc,
                   .crc = crc32(0, NULL, 0)};
  if ((e->flags & 1) || (e->method != 0 && e->method != 8))
    return fail("%s: expected stored or deflated data, found zip method %u%s", label, e->method,
                e->flags & 1 ? ", encrypted" : "");
  if (!locate(s, e, &z->at)) return 0;
  if (z->deflated ? e->size / RATIO > e->packed : e->size != e->packed)
    return fail("%s: expected a size that %zu packed bytes can hold, found %zu", label, e->packed, e->size);
  if (z->deflated && inflateInit2(&z->z, -MAX_WBITS) != Z_OK)
    return fail("%s: expected memory for zlib, found none left", label);
  return 1;
}

int zip_intact(const ZipStream *z) {
  return z->crc == z->wanted ||
         fail("%s: expected the checksum %08x, found %08lx", z->stream.name, z->wanted, z->crc);
}

void zip_finish(ZipStream *z) {
  if (z->deflated) inflateEnd(&z->z);
}

int zip_open(Zip *z, const char *path) {
  uint64_t offset, size;
  *z = (Zip){0};
  if (!source_open(&z->source, path)) return 0;
  int ok = find_directory(&z->source, &offset, &size);
  if (ok && !(z->directory.data = malloc(size + 1)))
    ok = fail("%s: expected memory for its directory, found none", path);
  if (ok) z->directory.size = size;
  ok = ok && source_read(&z->source, offset, z->directory.data, size) && list_entries(z);
  if (ok && z->count) ok = check_places(z, offset) && check_sizes(z) && check_names(z);
  if (!ok) zip_close(z);
  return ok;
}

void zip_close(Zip *z) {
  free(z->entries);
  bytes_free(&z->directory);
  source_close(&z->source);
}
