/* Locks of the kernel on files (flock): they vanish with the process that holds them, however it ends, and
 * count on every machine that has the file system. Two uses: a named lock that says who holds it, and
 * temporary files, locked while they are written, so that those of killed writers can be told and removed.
 * Nobody waits for a lock here. */
#ifndef IO_LOCK_H
#define IO_LOCK_H

#include <stddef.h>

typedef struct Lock {
  int fd; /* -1: nothing is held */
  char *path;
} Lock;

typedef enum {
  LOCK_FAILED, /* with a message */
  LOCK_TAKEN,
  LOCK_HELD,    /* by another: `who` says by whom */
  LOCK_UNKNOWN, /* the file system has no locks: `who` says so, nothing is held */
} LockState;

enum { LOCK_WHO = 256 };

/* Takes the lock of that name: a file that is made, says who holds it and since when,
 * and goes when released. */
LockState lock_take(Lock *l, const char *path, char who[LOCK_WHO]);
/* Harmless where nothing is held. */
void lock_release(Lock *l);

/* Locks a file that was just made until it is closed. 0 without a message when somebody took it for a
 * leftover: it has lost its name or will. Where there are no locks, nobody does. */
int lock_own(int fd, const char *path);

/* Removes the temporary files in a folder that nobody is writing any more; how many. Whatever cannot be
 * removed, or told, stays. */
long lock_sweep(const char *folder);

/* What temporary files are called: PREFIX…SUFFIX. */
#define TEMPORARY_PREFIX ".cohesiv-"
#define TEMPORARY_SUFFIX ".tmp"

#endif
