/* The guard: a device for tests. The addresses of its memory are those of a range that no one may read or write
 * (PROT_NONE), like a GPU's. Its kernels, which are the CPU's, see the numbers in a second range of the same
 * layout: while they run (enter, leave) tensors' addresses have the distance of the two added. So everything
 * else that reads a tensor of this device on the host faults, as it would on memory that is not the host's.
 *
 *   base  | range (own pages) | range, free | range | ...  closed for good
 *           + window
 *   open  | numbers           |             |       | ...  for kernels
 *
 * Ranges are kept in a list beside the memory, the first one that is large enough is taken. For one thread. */
#include "core/device.h"

#include "core/bulk.h"
#include "core/error.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RESERVED_BITS = 36 };

typedef struct Range {
  struct Range *prev, *next;
  size_t start, bytes; /* whole pages */
  bool free;
} Range;

static struct {
  char *base, *open;
  size_t used;  /* what the ranges cover */
  Range *first; /* by address; neighbours are never both free */
  MemoryStats stats;
  int depth; /* of enter */
} arena = {.stats.limit = (size_t)1 << RESERVED_BITS};

static size_t in_pages(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return bytes ? (bytes + page - 1) / page * page : page;
}

static void enter(Device *d) {
  arena.depth++;
  d->window = arena.open - arena.base;
}

static void leave(Device *d) {
  if (!--arena.depth) d->window = 0;
}

/* Where the numbers of an address are; the host's own, and one that a kernel has, stay as they are. */
static void *seen(const void *p) {
  const char *c = p;
  bool closed = c >= arena.base && c < arena.base + arena.stats.limit;
  return (char *)c + (closed ? arena.open - arena.base : 0);
}

/* A new range behind `before` (NULL: the first). NULL when the host's memory is short. */
static Range *insert(Range *before, size_t start, size_t bytes, bool free) {
  Range *r = malloc(sizeof *r);
  if (!r) return NULL;
  *r = (Range){before, before ? before->next : arena.first, start, bytes, free};
  if (r->next) r->next->prev = r;
  *(before ? &before->next : &arena.first) = r;
  return r;
}

static void erase(Range *r) {
  if (r->next) r->next->prev = r->prev;
  *(r->prev ? &r->prev->next : &arena.first) = r->next;
  free(r);
}

/* The range at the end grows by fresh pages. */
static Range *extend(Range *last, size_t bytes) {
  if (bytes > arena.stats.limit - arena.used) return NULL;
  Range *r = insert(last, arena.used, bytes, false);
  if (!r) return NULL;
  if (mprotect(arena.open + arena.used, bytes, PROT_READ | PROT_WRITE)) return erase(r), NULL;
  arena.used += bytes;
  return r;
}

static Range *find(size_t bytes) {
  Range *last = NULL;
  for (Range *r = arena.first; r; last = r, r = r->next) {
    if (!r->free || r->bytes < bytes) continue;
    if (r->bytes > bytes && !insert(r, r->start + bytes, r->bytes - bytes, true)) return NULL;
    r->bytes = bytes;
    r->free = false;
    return r;
  }
  return extend(last, bytes);
}

static void *take(Device *d, size_t bytes) {
  Range *r = find(in_pages(bytes));
  if (!r) return fail_memory("out of memory: %zu bytes of %s asked for", bytes, d->name), NULL;
  arena.stats.live += r->bytes;
  if (arena.stats.live > arena.stats.peak) arena.stats.peak = arena.stats.live;
  return arena.base + r->start;
}

static void join(Range *r) {
  if (!r || !r->free || !r->next || !r->next->free) return;
  r->bytes += r->next->bytes;
  erase(r->next);
}

static void give(Device *d, void *block, size_t bytes) {
  (void)d, (void)bytes;
  Range *r = arena.first;
  if (!block) return;
  while (arena.base + r->start != (char *)block) r = r->next;
  arena.stats.live -= r->bytes;
  r->free = true;
  join(r);
  join(r->prev);
}

static MemoryStats stats(Device *d) {
  (void)d;
  MemoryStats s = arena.stats;
  s.cached = arena.used - s.live;
  return s;
}

/* ---- the CPU's work on it ---- */

static int copy(Device *d, void *to, const void *from, size_t bytes) {
  return (void)d, bulk_copy(seen(to), seen(from), bytes);
}
static int fill(Device *d, void *to, const void *unit, size_t bytes, long n) {
  return (void)d, host_fill(seen(to), unit, bytes, n);
}
static int accumulate(Device *d, Dtype dtype, void *to, const void *from, long n) {
  return (void)d, host_accumulate(dtype, seen(to), seen(from), n);
}
static int cast(Device *d, Dtype a, const void *from, Dtype b, void *to, long n) {
  return (void)d, host_cast(a, seen(from), b, seen(to), n);
}
static int64_t mark(Device *d) { return (void)d, device_cpu()->mark(device_cpu()); }

static Device guard = {.name = "guard",
                       .kind = DEVICE_GUARD,
                       .take = take,
                       .give = give,
                       .memory = stats,
                       .copy = copy,
                       .fill = fill,
                       .accumulate = accumulate,
                       .cast = cast,
                       .enter = enter,
                       .leave = leave,
                       .wait = device_heard,
                       .mark = mark};

static char *reserve(void) {
  void *p = mmap(NULL, arena.stats.limit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

Device *device_guard(void) {
  if (!arena.base) arena.base = reserve();
  if (arena.base && !arena.open) arena.open = reserve();
  if (!arena.open) return fail("device: guard: the system gave no address space"), NULL;
  return &guard;
}

/* Nothing of it is in use when the library goes. */
__attribute__((destructor)) static void end(void) {
  while (arena.first) erase(arena.first);
}
