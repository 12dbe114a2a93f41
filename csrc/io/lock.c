/* See lock.h. A lock belongs to the open file, not to its name: whoever gets one looks whether the name still
 * stands for that file, since the holder before may have removed it. */
#include "io/lock.h"

#include "core/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* 0 or the error; EWOULDBLOCK: another holds it. */
static int try_lock(int fd) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

static int has_no_locks(int error) { return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP; }

/* Whether the name stands for the open file. */
static int is_named(int fd, const char *path) {
  struct stat open_one, named;
  return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 && open_one.st_ino == named.st_ino &&
         open_one.st_dev == named.st_dev;
}

/* ---- named locks ---- */

/* What the holder wrote; it may be about to. */
static void read_who(int fd, char who[LOCK_WHO]) {
  ssize_t n = pread(fd, who, LOCK_WHO - 1, 0);
  who[n > 0 ? n : 0] = 0;
  who[strcspn(who, "\n")] = 0;
  if (!who[0]) snprintf(who, LOCK_WHO, "another process");
}

static void write_who(int fd) {
  char host[128] = "", since[32], who[LOCK_WHO];
  gethostname(host, sizeof host - 1);
  time_t now = time(NULL);
  struct tm t;
  strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", gmtime_r(&now, &t));
  int n = snprintf(who, sizeof who, "process %ld on %s since %s UTC\n", (long)getpid(), host, since);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, who, (size_t)n, 0) != n) return; /* it is held all the same */
}

static LockState take(Lock *l, const char *path, char who[LOCK_WHO]) {
  for (;;) {
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fd < 0) return fail("%s: expected a file to lock, found: %s", path, strerror(errno)), LOCK_FAILED;
    int error = fstat(fd, &st) != 0 ? errno : S_ISREG(st.st_mode) ? try_lock(fd) : EINVAL;
    if (error == 0 && is_named(fd, path)) {
      write_who(fd);
      l->fd = fd;
      return LOCK_TAKEN;
    }
    if (error == EWOULDBLOCK) read_who(fd, who);
    if (has_no_locks(error)) {
      snprintf(who, LOCK_WHO, "%s", strerror(error));
      unlink(path);
    }
    close(fd);
    if (error == EWOULDBLOCK) return LOCK_HELD;
    if (has_no_locks(error)) return LOCK_UNKNOWN;
    if (error) return fail("%s: expected a file to lock, found: %s", path, strerror(error)), LOCK_FAILED;
  }
}

LockState lock_take(Lock *l, const char *path, char who[LOCK_WHO]) {
  *l = (Lock){.fd = -1, .path = strdup(path)};
  if (!l->path) return fail("%s: expected memory for a name, found none left", path), LOCK_FAILED;
  LockState state = take(l, path, who);
  if (state != LOCK_TAKEN) lock_release(l);
  return state;
}

void lock_release(Lock *l) {
  if (l->fd >= 0) {
    if (is_named(l->fd, l->path)) unlink(l->path); /* while it is held: no other's can be meant */
    close(l->fd);
  }
  free(l->path);
  *l = (Lock){.fd = -1};
}

/* ---- temporary files ---- */

int lock_own(int fd, const char *path) {
  int error = try_lock(fd);
  return has_no_locks(error) || (error == 0 && is_named(fd, path));
}

static int is_temporary(const char *name) {
  size_t n = strlen(name), prefix = strlen(TEMPORARY_PREFIX), suffix = strlen(TEMPORARY_SUFFIX);
  return n > prefix + suffix && strncmp(name, TEMPORARY_PREFIX, prefix) == 0 &&
         strcmp(name + n - suffix, TEMPORARY_SUFFIX) == 0;
}

/* Removes the file if nobody holds it; whether it did. */
static int remove_leftover(int folder, const char *name) {
  struct stat st, named;
  int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  int gone = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && try_lock(fd) == 0 &&
             fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == st.st_ino &&
             unlinkat(folder, name, 0) == 0;
  if (fd >= 0) close(fd);
  return gone;
}

long lock_sweep(const char *folder) {
  DIR *list = opendir(folder);
  long count = 0;
  if (!list) return 0;
  for (const struct dirent *entry; (entry = readdir(list));)
    if (is_temporary(entry->d_name)) count += remove_leftover(dirfd(list), entry->d_name);
  closedir(list);
  return count;
}
