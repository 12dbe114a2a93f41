/* The block cache behind memory.h. Blocks below BIG come from malloc; bigger ones are mapped with huge pages,
 * and their size is rounded up to one of four steps per doubling, so that freed ones fit later requests. */
#include "core/memory.h"

#include "core/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined __SANITIZE_ADDRESS__
#define CACHING 0
#else
#define CACHING 1
#endif

enum { BIG = 1 << 16, HUGE = 2 << 20, CLASSES = 256 };

typedef struct Free {
  struct Free *next;
} Free;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Free *shelf[CLASSES];
static MemoryStats stats;
static void (*reclaim)(void *);
static void *reclaim_arg;
static pthread_t reclaim_thread;
static void (*census)(void);

/* Rounds up to {4, 5, 6, 7} × 2^k and tells the class. */
static size_t rounded(size_t bytes, int *class) {
  int k = 63 - __builtin_clzl(bytes) - 2;
  size_t step = (bytes + ((size_t)1 << k) - 1) >> k; /* 4 .. 8 */
  if (step == 8) step = 4, k++;
  *class = k * 4 + (int)(step - 4);
  return step << k;
}

/* 90 % of what the machine, or the control group this process lives in, can still give. */
static size_t default_limit(void) {
  size_t limit = SIZE_MAX, value;
  char line[256];
  FILE *f = fopen("/proc/meminfo", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "MemAvailable: %zu kB", &value) == 1) limit = value << 10;
  if (f) fclose(f);
  static const char *const group[] = {"/sys/fs/cgroup/memory.max",
                                      "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
  for (int i = 0; i < 2; i++)
    if ((f = fopen(group[i], "r"))) {
      if (fscanf(f, "%zu", &value) == 1 && value < limit) limit = value;
      fclose(f);
    }
  return limit == SIZE_MAX ? limit : limit / 10 * 9;
}

static void *map(size_t bytes) {
  size_t whole = bytes + HUGE; /* cut to a huge-page border */
  char *p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return NULL;
  size_t head = (HUGE - (uintptr_t)p % HUGE) % HUGE;
  if (head) munmap(p, head);
  if (whole - head - bytes) munmap(p + head + bytes, whole - head - bytes);
  madvise(p + head, bytes, MADV_HUGEPAGE);
  return p + head;
}

static void empty_cache(void) {
  for (int c = 0; c < CLASSES; c++)
    while (shelf[c]) {
      Free *f = shelf[c];
      size_t bytes = (size_t)(4 + c % 4) << (c / 4);
      shelf[c] = f->next;
      munmap(f, bytes);
      stats.cached -= bytes;
    }
}

static void count(size_t bytes) {
  stats.live += bytes;
  if (stats.live > stats.peak) stats.peak = stats.live;
}

/* Holds the lock. NULL: over the limit, or the system has no more. */
static void *take(size_t bytes) {
  void *p;
  if (!stats.limit) stats.limit = default_limit();
  if (!CACHING || bytes < BIG) {
    if (bytes > stats.limit || stats.live > stats.limit - bytes) return NULL;
    p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (p) count(bytes);
    return p;
  }
  int class;
  size_t size = rounded(bytes, &class);
  if (shelf[class]) {
    p = shelf[class];
    shelf[class] = shelf[class]->next;
    stats.cached -= size;
  } else {
    if (size > stats.limit || stats.live + stats.cached > stats.limit - size) return NULL;
    p = map(size);
  }
  if (p) count(size);
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
    empty_cache();
    p = take(bytes);
  }
  void (*hook)(void *) = !p && reclaim && pthread_equal(reclaim_thread, pthread_self()) ? reclaim : NULL;
  pthread_mutex_unlock(&lock);
  if (hook) {
    hook(reclaim_arg);
    pthread_mutex_lock(&lock);
    empty_cache();
    p = take(bytes);
    pthread_mutex_unlock(&lock);
  }
  if (!p) {
    MemoryStats s = memory_stats();
    fail_memory("out of memory: %.1f MB asked for, %.1f MB in use, limit %.1f MB", bytes / 1e6, s.live / 1e6,
                s.limit / 1e6);
    if (census) census();
  }
  return p;
}

void memory_give(void *block, size_t bytes) {
  if (!block) return;
  if (!bytes) bytes = 1;
  pthread_mutex_lock(&lock);
  if (!CACHING || bytes < BIG) {
    free(block);
    stats.live -= bytes;
  } else {
    int class;
    size_t size = rounded(bytes, &class);
    Free *f = block;
    f->next = shelf[class];
    shelf[class] = f;
    stats.live -= size;
    stats.cached += size;
  }
  pthread_mutex_unlock(&lock);
}

MemoryStats memory_stats(void) {
  pthread_mutex_lock(&lock);
  if (!stats.limit) stats.limit = default_limit();
  MemoryStats s = stats;
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
  empty_cache();
  pthread_mutex_unlock(&lock);
}

void memory_set_limit(size_t bytes) {
  pthread_mutex_lock(&lock);
  stats.limit = bytes;
  if (stats.live + stats.cached > bytes) empty_cache();
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
