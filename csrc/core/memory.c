/* Limit and counts over two places for blocks: malloc below BIG, the arena (core/pages.h) from there on.
 * Under AddressSanitizer every block is its own malloc. */
#include "core/memory.h"

#include "core/error.h"
#include "core/pages.h"
#include "core/pool.h"
#include "core/room.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#if defined __SANITIZE_ADDRESS__
#define CACHING 0
#else
#define CACHING 1
#endif

enum { BIG = 1 << 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static MemoryStats stats;
static void (*reclaim)(void *);
static void *reclaim_arg;
static pthread_t reclaim_thread;
static void (*census)(void);

/* 90 % of what can still be had, and less where address space is short. */
static size_t default_limit(void) {
  size_t memory = room_memory(), address = room_for_tensors(pool_default());
  if (memory != SIZE_MAX) memory = memory / 10 * 9;
  return memory < address ? memory : address;
}

/* What a block takes from the limit. */
static size_t size_of(size_t bytes) { return CACHING && bytes >= BIG ? pages_size(bytes) : bytes; }

/* Holds the lock. NULL: over the limit, or the system has no more. */
static void *take(size_t bytes) {
  size_t size = size_of(bytes);
  if (!stats.limit) stats.limit = default_limit();
  if (size > stats.limit || stats.live > stats.limit - size) return NULL;
  bool small = !CACHING || bytes < BIG;
  void *p = small ? aligned_alloc(64, (bytes + 63) & ~(size_t)63) : pages_take(bytes);
  if (!p) return NULL;
  if (stats.live + size + pages_warm() > stats.limit) pages_trim();
  stats.live += size;
  if (stats.live > stats.peak) stats.peak = stats.live;
  return p;
}

void *memory_take(size_t bytes) {
  if (!bytes) bytes = 1;
  if (bytes > (size_t)1 << 46) {
    fail_memory("out of memory: %zu bytes asked for", bytes);
    return NULL;
  }
  pthread_mutex_lock(&lock);
  void *p = take(bytes);
  if (!p) {
    pages_trim();
    p = take(bytes);
  }
  void (*hook)(void *) = !p && reclaim && pthread_equal(reclaim_thread, pthread_self()) ? reclaim : NULL;
  pthread_mutex_unlock(&lock);
  if (hook) {
    hook(reclaim_arg);
    pthread_mutex_lock(&lock);
    pages_trim();
    p = take(bytes);
    pthread_mutex_unlock(&lock);
  }
  if (!p) {
    MemoryStats s = memory_stats();
    fail_memory("out of memory: %.1f MB asked for, %.1f MB in use, limit %.1f MB%s", bytes / 1e6,
                s.live / 1e6, s.limit / 1e6, room_address() == SIZE_MAX ? "" : " (ulimit -v)");
    if (census) census();
  }
  return p;
}

void memory_give(void *block, size_t bytes) {
  if (!block) return;
  if (!bytes) bytes = 1;
  pthread_mutex_lock(&lock);
  if (!CACHING || bytes < BIG)
    free(block);
  else
    pages_give(block, bytes);
  stats.live -= size_of(bytes);
  pthread_mutex_unlock(&lock);
}

MemoryStats memory_stats(void) {
  pthread_mutex_lock(&lock);
  if (!stats.limit) stats.limit = default_limit();
  MemoryStats s = stats;
  s.cached = pages_warm();
  pthread_mutex_unlock(&lock);
  return s;
}

void memory_reset_peak(void) {
  pthread_mutex_lock(&lock);
  stats.peak = stats.live;
  pthread_mutex_unlock(&lock);
}

void memory_empty_cache(void) {
  pthread_mutex_lock(&lock);
  pages_trim();
  pthread_mutex_unlock(&lock);
}

void memory_set_limit(size_t bytes) {
  pthread_mutex_lock(&lock);
  stats.limit = bytes;
  if (stats.live + pages_warm() > bytes) pages_trim();
  pthread_mutex_unlock(&lock);
}

void memory_set_reclaim(void (*hook)(void *), void *arg) {
  pthread_mutex_lock(&lock);
  reclaim = hook;
  reclaim_arg = arg;
  reclaim_thread = pthread_self();
  pthread_mutex_unlock(&lock);
}

void memory_set_census(void (*hook)(void)) { census = hook; }
