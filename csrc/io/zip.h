/* Reading zip files: the directory entry by entry, and the bytes of an entry as a stream. Stored and deflated
 * entries, zip64; no encryption, no spanning, no other methods. Every claim of the directory is checked
 * against the file before it counts. */
#ifndef IO_ZIP_H
#define IO_ZIP_H

#include "io/array.h"

#include <zlib.h>

typedef struct Zip {
  Source source;
  Bytes directory;
  size_t at;       /* of the next entry in the directory */
  uint64_t packed; /* bytes of the entries so far */
} Zip;

typedef struct ZipEntry {
  const char *name; /* within the directory, not terminated */
  size_t name_size;
  unsigned flags, method;
  uint32_t crc;
  uint64_t packed, size, offset; /* bytes in the file, bytes unpacked, place of the local header */
} ZipEntry;

/* The bytes of one entry. */
typedef struct ZipStream {
  Stream stream;
  const Source *source;
  uint64_t at, packed; /* where the packed bytes go on, how many are left */
  int deflated;
  uint32_t wanted; /* the directory's checksum */
  uLong crc;       /* of what was taken */
  z_stream z;
  unsigned char input[1 << 14];
} ZipStream;

/* 0 with a message when the file is missing or has no intact end record. `path` is borrowed. */
int zip_open(Zip *z, const char *path);
static inline int zip_more(const Zip *z) { return z->at < z->directory.size; }
/* The next entry; its name lives as long as the Zip. Refuses entries that together hold more than the file.
 */
int zip_next(Zip *z, ZipEntry *e);
void zip_close(Zip *z);

/* Opens an entry; `label` names it in messages and is borrowed. After a success zip_finish must follow. */
int zip_begin(ZipStream *z, const Zip *zip, const ZipEntry *e, const char *label);
/* After all bytes were taken: 0 with a message when their checksum is not the directory's. */
int zip_intact(const ZipStream *z);
void zip_finish(ZipStream *z);

#endif
