/* Memory for tensors: large blocks from one arena with huge pages, a limit, and counts. What is given back
 * stays with the process, so that a training loop touches fresh pages only once. */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include <stddef.h>

typedef struct MemoryStats {
  size_t live;   /* bytes in blocks handed out */
  size_t peak;   /* the largest `live` since the start or memory_reset_peak */
  size_t cached; /* bytes of pages kept for reuse */
  size_t limit;  /* what live + cached may not exceed */
  size_t graphs; /* bytes that recorded work holds beside live ones, on a device that records */
} MemoryStats;

/* A block of at least `bytes` (0 is allowed), 64-byte aligned, contents undefined; NULL with a message beyond
 * the limit, after the cache was emptied and, if set, the reclaim hook was tried. Any thread. */
void *memory_take(size_t bytes);

/* Gives back a block of memory_take with the same `bytes`. NULL is allowed. Any thread. */
void memory_give(void *block, size_t bytes);

MemoryStats memory_stats(void);
void memory_reset_peak(void);
void memory_empty_cache(void);
void memory_set_limit(size_t bytes);

/* Called (on the thread that wants memory, if it is the one that set it) when the limit is hit, before
 * failing: the Lua side collects garbage there. */
void memory_set_reclaim(void (*hook)(void *), void *arg);

/* Called after a memory_take has failed and left its message, on the thread that failed: whoever knows what
 * the memory holds adds it to the message. */
void memory_set_census(void (*hook)(void));

#endif
