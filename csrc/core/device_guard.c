/* The guard: a device for tests. Its memory is address space that no one may read or write (PROT_NONE), but
 * while its kernels run, which are the CPU's: enter opens all of it, leave closes it. So everything that
 * computes on the host with a tensor of this device faults, as it would fail on memory that is not the host's.
 *
 *   | range (own pages) | range, free | range | ...        | reserved ...
 *
 * Ranges are kept in a list beside the memory, the first one that is large enough is taken. It is for one
 * thread, and not fast: each opening and closing is a call of the system. */
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
  char *base;
  size_t used;  /* what the ranges cover */
  Range *first; /* by address; neighbours are never both free */
  MemoryStats stats;
  int depth; /* of enter */
} arena = {.stats.limit = (size_t)1 << RESERVED_BITS};

static size_t in_pages(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return bytes ? (bytes + page - 1) / page * page : page;
}

static void protect(int access) {
  if (arena.used) mprotect(arena.base, arena.used, access);
}

static void enter(Device *d) {
  (void)d;
  if (!arena.depth++) protect(PROT_READ | PROT_WRITE);
}

static void leave(Device *d) {
  (void)d;
  if (!--arena.depth) protect(PROT_NONE);
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
  if (arena.depth && mprotect(arena.base + arena.used, bytes, PROT_READ | PROT_WRITE)) return erase(r), NULL;
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

static int left(Device *d, int ok) { return leave(d), ok; }

static int copy(Device *d, void *to, const void *from, size_t bytes) {
  enter(d);
  return left(d, bulk_copy(to, from, bytes));
}

static int fill(Device *d, void *to, const void *unit, size_t bytes, long n) {
  enter(d);
  return left(d, host_fill(to, unit, bytes, n));
}

static int accumulate(Device *d, Dtype dtype, void *to, const void *from, long n) {
  enter(d);
  return left(d, host_accumulate(dtype, to, from, n));
}

static int cast(Device *d, Dtype a, const void *from, Dtype b, void *to, long n) {
  enter(d);
  return left(d, host_cast(a, from, b, to, n));
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

Device *device_guard(void) {
  void *base = mmap(NULL, arena.stats.limit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return fail("device: guard: the system gave no address space"), NULL;
  arena.base = base;
  return &guard;
}

/* Nothing of it is in use when the library goes. */
__attribute__((destructor)) static void end(void) {
  while (arena.first) erase(arena.first);
}
