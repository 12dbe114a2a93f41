/* Files as the readers and writers see them: reads at offsets that never run past the end, and writes that
 * show up whole or not at all. Every message names the file. Little-endian machines only: the formats are. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "csrc/io reads and writes little-endian files by copying memory"
#endif

/* A block of bytes on the heap; free with bytes_free. */
typedef struct Bytes {
  unsigned char *data;
  size_t size;     /* bytes in use */
  size_t capacity; /* bytes allocated */
} Bytes;

void bytes_free(Bytes *b);
/* Appends; 0 with a message when memory is short (b stays as it was). */
int bytes_add(Bytes *b, const void *data, size_t size);
/* As memcmp, of names that may differ in length. */
int bytes_order(const void *a, size_t n, const void *b, size_t m);

/* A regular file open for reading. `path` is borrowed. */
typedef struct Source {
  int fd;
  size_t size;
  const char *path;
} Source;

/* 0 with a message when the file is missing, not readable, or no regular file. */
int source_open(Source *s, const char *path);
/* Exactly `size` bytes from `offset`; 0 with a message when the file ends before that. */
int source_read(const Source *s, size_t offset, void *to, size_t size);
void source_close(Source *s);

/* The whole file, refused above `limit` bytes. */
int file_read(const char *path, size_t limit, Bytes *out);

/* A file being written: a temporary file, locked while it is written (see lock.h), renamed over the target by
 * sink_commit. */
typedef struct Sink {
  int fd;
  char *path, *temporary;
  Bytes buffer;
  int durable; /* commit waits for the disk (fsync of file and folder);
                * off for caches that check themselves */
} Sink;

/* Refuses a target that exists and is no regular file; a symbolic link is followed. */
int sink_open(Sink *s, const char *path);
/* The same with the temporary file in `folder`, of the target's file system, instead of the target's own. */
int sink_open_by(Sink *s, const char *path, const char *folder);
int sink_write(Sink *s, const void *data, size_t size);
/* Flushes and renames. Whatever it returns, the sink is closed afterwards and no temporary file stays. */
int sink_commit(Sink *s);
/* Gives up: removes the temporary file. Harmless after a commit. */
void sink_abort(Sink *s);

int file_write(const char *path, const void *data, size_t size);

#endif
