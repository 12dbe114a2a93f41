/* Whole or not at all: see file.h. Assumes POSIX. Targets are not locked: the last writer of a name wins. */
#include "io/file.h"

#include "core/error.h"
#include "io/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 16 };

void bytes_free(Bytes *b) {
  free(b->data);
  *b = (Bytes){0};
}

int bytes_add(Bytes *b, const void *data, size_t size) {
  if (size == 0) return 1;
  if (size > b->capacity - b->size) {
    size_t capacity = b->capacity < 256 ? 256 : b->capacity;
    while (capacity - b->size < size) {
      if (capacity > SIZE_MAX / 2) return fail("memory: expected room for %zu more bytes", size);
      capacity *= 2;
    }
    unsigned char *grown = realloc(b->data, capacity);
    if (!grown) return fail("memory: expected %zu bytes, found none left", capacity);
    b->data = grown;
    b->capacity = capacity;
  }
  memcpy(b->data + b->size, data, size);
  b->size += size;
  return 1;
}

int bytes_order(const void *a, size_t n, const void *b, size_t m) {
  int order = memcmp(a, b, n < m ? n : m);
  return order ? order : (n > m) - (n < m);
}

static const char *kind_of(mode_t mode) {
  return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

int source_open(Source *s, const char *path) {
  *s = (Source){.fd = -1, .path = path};
  /* O_NONBLOCK: opening a pipe must not wait for a writer; it has no effect on regular files */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail("%s: expected a readable file, found: %s", path, strerror(errno));
  struct stat st;
  if (fstat(fd, &st) != 0) {
    int error = errno;
    close(fd);
    return fail("%s: expected a readable file, found: %s", path, strerror(error));
  }
  if (!S_ISREG(st.st_mode)) {
    close(fd);
    return fail("%s: expected a file, found %s", path, kind_of(st.st_mode));
  }
  s->fd = fd;
  s->size = (size_t)st.st_size;
  return 1;
}

int source_read(const Source *s, size_t offset, void *to, size_t size) {
  if (offset > s->size || size > s->size - offset)
    return fail("%s: expected at least %zu bytes, found %zu (truncated?)", s->path, offset + size, s->size);
  char *at = to;
  while (size > 0) {
    ssize_t got = pread(s->fd, at, size < (1 << 30) ? size : (1 << 30), (off_t)offset);
    if (got < 0 && errno == EINTR && !interrupted) continue;
    if (got < 0) return fail("%s: expected to read %zu bytes, found: %s", s->path, size, strerror(errno));
    if (got == 0) return fail("%s: expected %zu more bytes, found the end (it shrank)", s->path, size);
    at += got;
    offset += (size_t)got;
    size -= (size_t)got;
  }
  return 1;
}

void source_close(Source *s) {
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
}

int file_read(const char *path, size_t limit, Bytes *out) {
  *out = (Bytes){0};
  Source s;
  if (!source_open(&s, path)) return 0;
  int ok = 0;
  if (s.size > limit) {
    fail("%s: expected at most %zu bytes, found %zu", path, limit, s.size);
  } else if (!(out->data = malloc(s.size + 1))) {
    fail("%s: expected %zu bytes of memory, found none left", path, s.size);
  } else {
    out->size = s.size;
    out->capacity = s.size + 1;
    ok = source_read(&s, 0, out->data, s.size);
  }
  if (!ok) bytes_free(out);
  source_close(&s);
  return ok;
}

/* ---- writing ---- */

/* The name to write to: links are followed, so that they stay links. NULL with a message. */
static char *target_of(const char *path) {
  struct stat st;
  int found = stat(path, &st) == 0;
  if (found && !S_ISREG(st.st_mode)) {
    fail("%s: expected a file to write, found %s", path, kind_of(st.st_mode));
    return NULL;
  }
  char *target = found ? realpath(path, NULL) : errno == ENOENT ? strdup(path) : NULL;
  if (!target) fail("%s: expected a name to write to, found: %s", path, strerror(errno));
  return target;
}

/* Makes a file of a name that nobody has, locked while it is open; 0 or the error, EEXIST to try again. The
 * name is independent of the target's, which may be at its limit. */
static int make_temporary(Sink *s, const char *folder) {
  static atomic_uint counter;
  free(s->temporary);
  if (asprintf(&s->temporary, "%s/" TEMPORARY_PREFIX "%ld-%u" TEMPORARY_SUFFIX, folder, (long)getpid(),
               atomic_fetch_add(&counter, 1)) < 0) {
    s->temporary = NULL;
    return ENOMEM;
  }
  s->fd = open(s->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (s->fd < 0) return errno;
  if (lock_own(s->fd, s->temporary)) return 0;
  close(s->fd);
  s->fd = -1;
  return EEXIST;
}

static int open_temporary(Sink *s, const char *folder) {
  char *copy = folder ? NULL : strdup(s->path);
  if (!folder && !copy) return fail("%s: expected memory for a name, found none left", s->path);
  if (!folder) folder = dirname(copy);
  int error = EEXIST;
  for (int attempt = 0; attempt < 1000 && error == EEXIST; attempt++) error = make_temporary(s, folder);
  free(copy);
  if (error == 0) return 1;
  free(s->temporary);
  s->temporary = NULL;
  return fail("%s: expected a folder to write in, found: %s", s->path, strerror(error));
}

int sink_open_by(Sink *s, const char *path, const char *folder) {
  *s = (Sink){.fd = -1, .durable = 1};
  if (!(s->path = target_of(path))) return 0;
  if (open_temporary(s, folder)) return 1;
  sink_abort(s);
  return 0;
}

int sink_open(Sink *s, const char *path) { return sink_open_by(s, path, NULL); }

static int write_all(Sink *s, const void *data, size_t size) {
  const char *at = data;
  while (size > 0) {
    ssize_t put = write(s->fd, at, size < (1 << 30) ? size : (1 << 30));
    if (put < 0 && errno == EINTR && !interrupted) continue;
    if (put <= 0)
      return fail("%s: expected room for %zu more bytes, found: %s", s->path, size, strerror(errno));
    at += put;
    size -= (size_t)put;
  }
  return 1;
}

int sink_write(Sink *s, const void *data, size_t size) {
  int direct = size > BUFFER / 2; /* what is written past the buffer must not overtake it */
  if (direct || s->buffer.size + size > BUFFER) {
    if (!write_all(s, s->buffer.data, s->buffer.size)) return 0;
    s->buffer.size = 0;
  }
  return direct ? write_all(s, data, size) : bytes_add(&s->buffer, data, size);
}

/* Makes the rename itself last: without this a power cut may bring the old folder back. */
static void sync_folder(const char *path) {
  char *copy = strdup(path);
  if (!copy) return;
  int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    fsync(fd); /* some file systems cannot: nothing to be done about it */
    close(fd);
  }
  free(copy);
}

int sink_commit(Sink *s) {
  int ok = write_all(s, s->buffer.data, s->buffer.size);
  if (ok && s->durable && fsync(s->fd) != 0)
    ok = fail("%s: expected the disk to take the file, found: %s", s->path, strerror(errno));
  /* renamed before it is closed: until then it is locked, and nobody takes it for a leftover */
  if (ok && rename(s->temporary, s->path) != 0)
    ok = fail("%s: expected to rename the finished file, found: %s", s->path, strerror(errno));
  if (ok) {
    if (s->durable) sync_folder(s->path);
    free(s->temporary);
    s->temporary = NULL;
  }
  sink_abort(s);
  return ok;
}

void sink_abort(Sink *s) {
  if (s->fd >= 0) close(s->fd);
  if (s->temporary) unlink(s->temporary);
  free(s->temporary);
  free(s->path);
  bytes_free(&s->buffer);
  *s = (Sink){.fd = -1};
}

int file_write(const char *path, const void *data, size_t size) {
  Sink s;
  if (!sink_open(&s, path)) return 0;
  if (!sink_write(&s, data, size)) {
    sink_abort(&s);
    return 0;
  }
  return sink_commit(&s);
}
