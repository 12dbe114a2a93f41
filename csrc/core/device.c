/* The registry of devices, and the CPU: memory.c's blocks, and loops over the thread pool. */
#include "core/device.h"

#include "core/bulk.h"
#include "core/error.h"
#include "core/pool.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const device_kind_name[DEVICE_KINDS] = {"cpu", "guard", "cuda"};

enum { GRAIN = 1 << 16 };

/* ---- the CPU's work ---- */

typedef struct Fill {
  char *to;
  const void *unit;
  size_t bytes;
  long n;
} Fill;

static int fill_chunk(void *arg, long c) {
  const Fill *f = arg;
  long begin = c * GRAIN, end = begin + GRAIN < f->n ? begin + GRAIN : f->n;
  for (long i = begin; i < end; i++) memcpy(f->to + (size_t)i * f->bytes, f->unit, f->bytes);
  return 1;
}

int host_fill(void *to, const void *unit, size_t bytes, long n) {
  if (!unit) return bulk_clear(to, bytes * (size_t)n);
  Fill f = {to, unit, bytes, n};
  return parallel((n + GRAIN - 1) / GRAIN, fill_chunk, &f);
}

typedef struct Sum {
  void *to;
  const void *from;
  Dtype dtype;
  long n;
} Sum;

static int sum_chunk(void *arg, long c) {
  const Sum *s = arg;
  long begin = c * GRAIN, end = begin + GRAIN < s->n ? begin + GRAIN : s->n;
  if (s->dtype == F32)
    for (long i = begin; i < end; i++) ((float *)s->to)[i] += ((const float *)s->from)[i];
  else
    for (long i = begin; i < end; i++) ((double *)s->to)[i] += ((const double *)s->from)[i];
  return 1;
}

int host_accumulate(Dtype dtype, void *to, const void *from, long n) {
  Sum s = {to, from, dtype, n};
  return parallel((n + GRAIN - 1) / GRAIN, sum_chunk, &s);
}

/* ---- the CPU ---- */

static void *take(Device *d, size_t bytes) { return (void)d, memory_take(bytes); }
static void give(Device *d, void *block, size_t bytes) { (void)d, memory_give(block, bytes); }
static MemoryStats stats(Device *d) { return (void)d, memory_stats(); }
static int copy(Device *d, void *to, const void *from, size_t bytes) {
  return (void)d, bulk_copy(to, from, bytes);
}
static int fill(Device *d, void *to, const void *unit, size_t bytes, long n) {
  return (void)d, host_fill(to, unit, bytes, n);
}
static int accumulate(Device *d, Dtype dtype, void *to, const void *from, long n) {
  return (void)d, host_accumulate(dtype, to, from, n);
}
static int cast(Device *d, Dtype a, const void *from, Dtype b, void *to, long n) {
  return (void)d, host_cast(a, from, b, to, n);
}
static int64_t mark(Device *d) {
  struct timespec t;
  (void)d;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static Device cpu = {.name = "cpu",
                     .kind = DEVICE_CPU,
                     .take = take,
                     .give = give,
                     .memory = stats,
                     .copy = copy,
                     .fill = fill,
                     .accumulate = accumulate,
                     .cast = cast,
                     .wait = device_heard,
                     .mark = mark};

Device *device_cpu(void) { return &cpu; }

/* ---- the registry ---- */

enum { OPENED = 65 };
static Device *guard, *opened[OPENED]; /* once they were asked for */
static _Thread_local char notice[256];

/* The number behind "cuda:", 0 for "cuda" alone; -1: not such a name. */
static int cuda_index(const char *name) {
  const char *kind = device_kind_name[DEVICE_CUDA];
  size_t n = strlen(kind);
  char *end;
  if (strncmp(name, kind, n)) return -1;
  if (!name[n]) return 0;
  if (name[n] != ':' || name[n + 1] < '0' || name[n + 1] > '9') return -1;
  long i = strtol(name + n + 1, &end, 10);
  return *end || i > INT16_MAX ? -1 : (int)i;
}

static Device *find_cuda(const char *name, int index) {
  const DeviceModule *m = device_module(DEVICE_CUDA);
  if (!m) return fail("device: expected cpu, found %s (%s)", name, error_message()), NULL;
  if (!m->count) {
    static bool said;
    if (!said) snprintf(notice, sizeof notice, "%s: no GPU (%s): computing on the CPU", name, m->why);
    said = true;
    return &cpu;
  }
  if (index >= m->count)
    return fail("device: expected cpu or one of cuda:0 to cuda:%d, found %s", m->count - 1, name), NULL;
  Device *d = m->open(index);
  device_range = m->range;
  int i = 0;
  while (i < OPENED - 1 && opened[i] && opened[i] != d) i++;
  return opened[i] = d;
}

Device *device_opened(int i) { return i < OPENED ? opened[i] : NULL; }

Device *device_find(const char *name) {
  int index = cuda_index(name);
  *notice = 0;
  if (!strcmp(name, cpu.name)) return &cpu;
  if (!strcmp(name, device_kind_name[DEVICE_GUARD])) return guard = device_guard();
  if (index >= 0) return find_cuda(name, index);
  return fail("device: expected cpu or cuda, found %s", name), NULL;
}

bool device_tf32;
void (*device_range)(const char *name);

const char *device_notice(void) { return notice; }

Device *device_guarded(void) { return guard; }

void device_defer(Device *d, const char *message) {
  if (!*d->deferred) snprintf(d->deferred, sizeof d->deferred, "%s", message);
}

int device_heard(Device *d) {
  if (!*d->deferred) return 1;
  fail("%s", d->deferred);
  *d->deferred = 0;
  return 0;
}

bool device_sends(const Device *to, const Device *from, size_t bytes) {
  return to->send && !to->recording && from == &cpu && bytes > DEVICE_PUT;
}

int device_copy(Device *to, void *p, Device *from, const void *q, size_t bytes) {
  if ((to == &cpu && from->recording) || (to->recording && from == &cpu && bytes > DEVICE_PUT))
    return fail("%s: recording: expected nothing of the host's, found a copy of %zu bytes",
                to == &cpu ? from->name : to->name, bytes);
  if (from == &cpu && to->put && bytes && bytes <= DEVICE_PUT) return to->put(to, p, q, bytes);
  if (from == to || from == &cpu) return to->copy(to, p, q, bytes);
  if (to == &cpu) return from->wait(from) && from->copy(from, p, q, bytes);
  return fail("device: expected one of the host's, found a copy from %s to %s", from->name, to->name);
}
