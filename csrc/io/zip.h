/* Reading zip files: the list of their entries, and the bytes of an entry as a stream. Stored and deflated
 * entries, zip64; no encryption, no spanning, no other methods. Every claim of the directory is checked
 * against the file before it counts: entries may not share bytes, nor names, nor unpack to more than
 * zip_room() in all. */
#ifndef IO_ZIP_H
#define IO_ZIP_H

#include "io/array.h"

#include <zlib.h>

typedef struct ZipEntry {
  const char *name; /* within the directory, not terminated */
  size_t name_size;
  unsigned flags, method;
  uint32_t crc;
  uint64_t packed, size, offset; /* bytes in the file, bytes unpacked, place of the local header */
  uint64_t end;                  /* where the next entry begins, or the directory */
} ZipEntry;

typedef struct Zip {
  Source source;
  Bytes directory; /* holds the names */
  ZipEntry *entries;
  long count;
} Zip;

/* What the entries of a zip file of so many bytes may unpack to in all: deflate makes a thousand bytes of
 * one, arrays in use seldom come to more than 64. */
static inline uint64_t zip_room(uint64_t bytes) { return (UINT64_C(64) << 20) + 64 * bytes; }

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

/* Entries come sorted by name. 0 with a message when the file is missing, is no zip file, or lies. `path` is
 * borrowed. */
int zip_open(Zip *z, const char *path);
void zip_close(Zip *z);

/* Opens an entry; `label` names it in messages and is borrowed. After a success zip_finish must follow. */
int zip_begin(ZipStream *z, const Zip *zip, const ZipEntry *e, const char *label);
/* After all bytes were taken: 0 with a message when their checksum is not the directory's. */
int zip_intact(const ZipStream *z);
void zip_finish(ZipStream *z);

#endif
