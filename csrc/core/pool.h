/* The one thread pool. Work is cut into chunks whose borders depend on shapes only, never on the number of
 * threads; who needs a sum over chunks keeps one partial per chunk and adds them in chunk order. So results
 * are bit-equal for any thread count. */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include <stddef.h>

/* One chunk of work: 1, or 0 after fail(). Must not depend on which thread runs it or in which order. */
typedef int (*Chunk)(void *arg, long chunk);

/* Runs f(arg, 0) … f(arg, chunks-1) on all threads, the caller among them, and returns when all are done.
 * 0 when a chunk failed (the message of the lowest one is handed to the caller) or Ctrl-C was pressed.
 * Called from inside a chunk, or while another thread is in a parallel section: runs on the calling thread
 * alone. */
int parallel(long chunks, Chunk f, void *arg);

/* Watches for forks: a child starts threads of its own. 0 when memory is short; core_start() calls it. */
int pool_start(void);

/* The number of threads that parallel uses: pool_default() until it is changed. */
int pool_threads(void);

/* The CPUs this process may run on, or $COHESIV_THREADS. */
int pool_default(void);

/* 1 <= threads <= 256; 0 with a message otherwise. Not from inside a chunk. */
int pool_resize(long threads);

/* A buffer of this thread alone, 64-byte aligned, that stays until the thread's next call with the same slot
 * (0 .. SCRATCH_SLOTS-1); contents undefined. NULL when memory is short. Freed with the thread. */
enum { SCRATCH_SLOTS = 8 };
void *scratch(int slot, size_t bytes);

/* Gives this thread's scratch back. Not from inside a parallel section. */
void scratch_empty(void);

#endif
