/* Free ranges in a table sorted by address; see pages.h. */
#include "core/pages.h"

#include "core/pool.h"
#include "core/room.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, HUGE = 2 << 20, REGIONS = 16 };

typedef struct Range {
  char *at;
  size_t bytes, warm; /* warm: from its start to the last byte that may have a page */
} Range;

/* Address space from the system. More than one only where the system refuses as much as the machine has. */
typedef struct Region {
  char *base;
  size_t bytes, used; /* used: readable, in whole huge pages */
} Region;

static Region region[REGIONS];
static int regions;
static Range *range;
static long ranges, room, blocks; /* room for as many ranges as the blocks in use can leave between them */

static size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }

size_t pages_size(size_t bytes) { return up(bytes, PAGE); }

size_t pages_warm(void) {
  size_t warm = 0;
  for (long i = 0; i < ranges; i++) warm += range[i].warm;
  return warm;
}

/* ---- the table ---- */

static bool make_room(void) {
  long need = blocks + REGIONS + 2;
  if (need <= room) return true;
  Range *larger = realloc(range, (size_t)(2 * need) * sizeof *larger);
  if (!larger) return false;
  range = larger;
  room = 2 * need;
  return true;
}

/* The first range that starts behind p. */
static long behind(const char *p) {
  long low = 0, high = ranges;
  while (low < high) {
    long middle = (low + high) / 2;
    if (range[middle].at > p)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static bool is_base(const char *p) {
  for (int i = 0; i < regions; i++)
    if (region[i].base == p) return true;
  return false;
}

static bool joins(const Range *a, const Range *b) { return a->at + a->bytes == b->at && !is_base(b->at); }

static void remove_range(long i) {
  memmove(range + i, range + i + 1, (size_t)(--ranges - i) * sizeof *range);
}

static void join(Range *a, const Range *b) {
  if (b->warm) a->warm = a->bytes + b->warm;
  a->bytes += b->bytes;
}

static void add_range(Range r) {
  long i = behind(r.at);
  if (i < ranges && joins(&r, &range[i])) {
    join(&r, &range[i]);
    remove_range(i);
  }
  if (i > 0 && joins(&range[i - 1], &r)) {
    join(&range[i - 1], &r);
    return;
  }
  memmove(range + i + 1, range + i, (size_t)(ranges++ - i) * sizeof *range);
  range[i] = r;
}

/* ---- address space ---- */

static bool add_region(size_t bytes) {
  if (regions == REGIONS) return false;
  size_t least = up(bytes, HUGE), most = room_for_tensors(pool_default()),
         size = up((size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE), HUGE);
  char *p = MAP_FAILED;
  if (most < least + HUGE) return false;
  if (size > most - HUGE) size = (most - HUGE) / HUGE * HUGE;
  if (size < least) size = least;
  for (;; size = up(size / 2, HUGE)) { /* cut to a huge-page border */
    if (size < least) size = least;
    p = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED || size == least) break;
  }
  if (p == MAP_FAILED) return false;
  size_t head = (HUGE - (uintptr_t)p % HUGE) % HUGE;
  if (head) munmap(p, head);
  munmap(p + head + size, HUGE - head);
  madvise(p + head, size, MADV_HUGEPAGE);
  region[regions++] = (Region){.base = p + head, .bytes = size};
  return true;
}

/* The free range at the end of what is readable; NULL: a block stands there. */
static Range *tail_of(const Region *r) {
  long i = behind(r->base + r->used) - 1;
  return i >= 0 && r->used && range[i].at >= r->base && range[i].at + range[i].bytes == r->base + r->used
             ? &range[i]
             : NULL;
}

/* Makes a range of at least `bytes` readable at the end of a region. */
static bool grow(size_t bytes) {
  for (int i = 0; i < regions || add_region(bytes); i++) {
    Region *r = &region[i];
    const Range *tail = tail_of(r);
    size_t more = up(bytes - (tail ? tail->bytes : 0), HUGE);
    if (r->bytes - r->used < more) continue;
    char *at = r->base + r->used;
    if (mprotect(at, more, PROT_READ | PROT_WRITE)) return false;
    r->used += more;
    add_range((Range){.at = at, .bytes = more});
    return true;
  }
  return false;
}

/* ---- blocks ---- */

static long best_fit(size_t bytes) {
  long best = -1;
  for (long i = 0; i < ranges; i++)
    if (range[i].bytes >= bytes && (best < 0 || range[i].bytes < range[best].bytes)) best = i;
  return best;
}

void *pages_take(size_t bytes) {
  bytes = pages_size(bytes);
  if (!make_room()) return NULL;
  long i = best_fit(bytes);
  if (i < 0) {
    if (!grow(bytes)) return NULL;
    i = best_fit(bytes);
  }
  Range *r = &range[i];
  void *block = r->at;
  blocks++;
  r->at += bytes;
  r->bytes -= bytes;
  r->warm = r->warm > bytes ? r->warm - bytes : 0;
  if (!r->bytes) remove_range(i);
  return block;
}

void pages_give(void *block, size_t bytes) {
  bytes = pages_size(bytes);
  blocks--;
  add_range((Range){.at = block, .bytes = bytes, .warm = bytes});
}

void pages_trim(void) {
  for (long i = 0; i < ranges; i++)
    if (range[i].warm) {
      madvise(range[i].at, range[i].warm, MADV_DONTNEED);
      range[i].warm = 0;
    }
  for (int k = 0; k < regions; k++) { /* what follows the last block is not readable any more */
    Region *r = &region[k];
    Range *tail = tail_of(r);
    if (!tail) continue;
    size_t kept = up((size_t)(tail->at - r->base), HUGE);
    if (mprotect(r->base + kept, r->used - kept, PROT_NONE)) continue;
    tail->bytes -= r->used - kept;
    r->used = kept;
    if (!tail->bytes) remove_range(tail - range);
  }
}
