/* A GPU as a Device: memory from CUDA's stream-ordered pool, which keeps what is given back, and one stream on
 * which everything happens in order. */
#include "cuda/refusals.h"

#include "core/error.h"
#include "cuda/copies.h"
#include "cuda/cudnn.h"
#include "cuda/kernels/memory.h"
#include "cuda/record.h"
#include "cuda/widening.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 64, COUNTERS = 12, FEWEST = 1 << 12 }; /* counters: FEWEST, four times as many, and so on */

long cuda_launches;

typedef struct Cuda {
  Device device; /* first: what the core has */
  char name[16];
  cudaStream_t stream;
  cudaMemPool_t pool;
  MemoryStats stats;
  long held; /* bytes that were given back but recordings read */
  Copies copies;
  Refused *refused; /* of the device's memory, made at its first use */
  unsigned *counters[COUNTERS];
} Cuda;

static Cuda *cuda_of(Device *d) { return (Cuda *)d; }

cudaStream_t cuda_stream(Device *d) { return cuda_of(d)->stream; }

/* 1, or 0 with what the device was to do and CUDA's words. */
static int done(const Device *d, const char *what, cudaError_t e) {
  if (e == cudaSuccess) return 1;
  cudaGetLastError(); /* told here: the next launch is not to find it */
  return fail("%s: %s: %s", d->name, what, cudaGetErrorString(e));
}

static int select_device(const Device *d) { return done(d, "choosing the device", cudaSetDevice(d->index)); }

/* ---- memory ---- */

void cuda_trim(Device *d) {
  cudaGetLastError();
  cudaStreamSynchronize(cuda_stream(d));
  cudaMemPoolTrimTo(cuda_of(d)->pool, 0);
  cudaDeviceGraphMemTrim(d->index);
}

/* For work on this stream. */
static void *take_on(cudaStream_t stream, Device *d, size_t bytes) {
  Cuda *g = cuda_of(d);
  void *block = NULL;
  if (!select_device(d)) return NULL;
  cudaError_t e = cudaMallocAsync(&block, bytes ? bytes : 1, stream);
  if (e == cudaErrorMemoryAllocation &&
      !d->recording) { /* what was given back but is kept, or not yet free */
    cuda_trim(d);
    e = cudaMallocAsync(&block, bytes ? bytes : 1, stream);
  }
  if (e == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return fail_memory("out of memory: %zu bytes of %s asked for, %zu of %zu in use", bytes, d->name,
                       g->stats.live, g->stats.limit),
           NULL;
  }
  if (!done(d, "taking memory", e) || !cuda_record_takes(d, block)) return NULL;
  g->stats.live += bytes;
  if (g->stats.live > g->stats.peak) g->stats.peak = g->stats.live;
  return block;
}

static void *take(Device *d, size_t bytes) { return take_on(cuda_stream(d), d, bytes); }

static void give(Device *d, void *block, size_t bytes) {
  Cuda *g = cuda_of(d);
  if (!block) return;
  cudaSetDevice(d->index);
  if (!cuda_record_keeps(d, block, bytes)) cudaFreeAsync(block, g->stream);
  g->stats.live -= bytes;
}

void cuda_record_holds(Device *d, long bytes) { cuda_of(d)->held += bytes; }

static MemoryStats memory(Device *d) {
  Cuda *g = cuda_of(d);
  MemoryStats s = g->stats;
  unsigned long long reserved = 0, used = 0, graphs = 0;
  cudaDeviceGetGraphMemAttribute(d->index, cudaGraphMemAttrReservedMemCurrent, &graphs);
  s.graphs = (size_t)graphs + (size_t)g->held;
  cudaMemPoolGetAttribute(g->pool, cudaMemPoolAttrReservedMemCurrent, &reserved);
  cudaMemPoolGetAttribute(g->pool, cudaMemPoolAttrUsedMemCurrent, &used);
  s.cached = reserved > used ? (size_t)(reserved - used) : 0;
  return s;
}

static void reset_peak(Device *d) { cuda_of(d)->stats.peak = cuda_of(d)->stats.live; }

/* ---- work ---- */

static int copy(Device *d, void *to, const void *from, size_t bytes) {
  cudaStream_t s = cuda_stream(d);
  struct cudaPointerAttributes at = {.type = cudaMemoryTypeUnregistered};
  if (!bytes) return 1;
  /* A graph's own memory is an address alone while it is recorded: CUDA cannot tell whose it is. */
  enum cudaMemcpyKind kind = d->recording ? cudaMemcpyDeviceToDevice : cudaMemcpyDefault;
  if (!select_device(d) || !done(d, "a copy", cudaMemcpyAsync(to, from, bytes, kind, s))) return 0;
  if (d->recording) return 1;
  cudaPointerGetAttributes(&at, to);
  return at.type == cudaMemoryTypeDevice || done(d, "a copy to the host", cudaStreamSynchronize(s));
}

/* By a stream of their own, from pinned memory: they overtake what is being computed. */
static void *send(Device *d, const void *from, size_t bytes) {
  Cuda *g = cuda_of(d);
  const Staging *way = select_device(d) ? copies_stage(&g->copies, from, bytes) : NULL;
  void *block = take_on(way ? g->copies.stream : g->stream, d, bytes);
  int ok = block && (way ? done(d, "a copy", copies_send(&g->copies, way, block, bytes, g->stream))
                         : copy(d, block, from, bytes));
  if (!ok && block) give(d, block, bytes);
  return ok ? block : NULL;
}

static int put(Device *d, void *to, const void *from, size_t bytes) {
  return select_device(d) && put_bytes(cuda_stream(d), to, from, bytes);
}

static int fill(Device *d, void *to, const void *unit, size_t bytes, long n) {
  if (!n) return 1;
  if (!select_device(d)) return 0;
  if (unit) return fill_units(cuda_stream(d), to, unit, bytes, n);
  return done(d, "filling", cudaMemsetAsync(to, 0, bytes * (size_t)n, cuda_stream(d)));
}

static int accumulate(Device *d, Dtype dtype, void *to, const void *from, long n) {
  return select_device(d) && accumulate_into(cuda_stream(d), dtype, to, from, n);
}

static int cast(Device *d, Dtype from_dtype, const void *from, Dtype to_dtype, void *to, long n) {
  return select_device(d) && cast_numbers(cuda_stream(d), from_dtype, from, to_dtype, to, n);
}

/* Waits; what kernels have refused meanwhile is deferred, and forgotten there. */
static int ask_kernels(Device *d) {
  Cuda *g = cuda_of(d);
  if (d->recording) return fail("%s: recording: expected nobody to wait", d->name);
  Refused r = {.refusal = 0};
  if (g->refused &&
      !done(d, "a copy", cudaMemcpyAsync(&r, g->refused, sizeof r, cudaMemcpyDefault, g->stream)))
    return 0;
  if (!done(d, "waiting", cudaStreamSynchronize(g->stream))) return 0;
  if (!r.refusal) return 1;
  refuse_value((Refusal)r.refusal, r.number[0], r.number[1], r.number[2]);
  device_defer(d, error_message());
  return done(d, "filling", cudaMemsetAsync(g->refused, 0, sizeof r, g->stream));
}

static int wait(Device *d) { return select_device(d) && ask_kernels(d) && device_heard(d); }

static int64_t mark(Device *d) {
  struct timespec t;
  if (!d->recording) cudaStreamSynchronize(cuda_stream(d));
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void enter(Device *d) { cudaSetDevice(d->index); }

/* ---- refusals of values ---- */

int cuda_refusals(Call *c, int kept, Refusals *r) {
  Device *d = c->device;
  Cuda *g = cuda_of(d);
  if (!g->refused) {
    void *block;
    if (d->recording) return fail("%s: recording: expected no first call that may refuse a value", d->name);
    if (!done(d, "taking memory", cudaMallocAsync(&block, sizeof *g->refused, g->stream)) ||
        !done(d, "filling", cudaMemsetAsync(block, 0, sizeof *g->refused, g->stream)))
      return 0;
    g->refused = block;
  }
  Tensor *call = call_save_new(c, kept, I32, 0, NULL);
  *r = (Refusals){g->refused, call ? tensor_write(call) : NULL};
  return r->call && fill(d, r->call, NULL, sizeof *r->call, 1);
}

/* ---- counters ---- */

/* Blocks of counters stay for ever: graphs may have them. */
unsigned *cuda_counters(Call *c, long n) {
  Device *d = c->device;
  Cuda *g = cuda_of(d);
  long size = FEWEST;
  int i = 0;
  while (size < n && i < COUNTERS - 1) size *= 4, i++;
  if (g->counters[i]) return g->counters[i];
  void *block;
  if (d->recording) return fail("%s: recording: expected no new counters", d->name), NULL;
  if (!done(d, "taking memory", cudaMallocAsync(&block, (size_t)size * sizeof(unsigned), g->stream)) ||
      !done(d, "filling", cudaMemsetAsync(block, 0, (size_t)size * sizeof(unsigned), g->stream)))
    return NULL;
  return g->counters[i] = block;
}

/* ---- the devices ---- */

static int open_device(Cuda *g, int i) {
  Device *d = &g->device;
  size_t available;
  unsigned long long keep = ~0ull; /* nothing goes back to the system by itself */
  snprintf(g->name, sizeof g->name, i ? "cuda:%d" : "cuda", i);
  *d = (Device){.name = g->name,
                .kind = DEVICE_CUDA,
                .index = i,
                .take = take,
                .give = give,
                .memory = memory,
                .reset_peak = reset_peak,
                .copy = copy,
                .send = send,
                .put = put,
                .fill = fill,
                .accumulate = accumulate,
                .cast = cast,
                .enter = enter,
                .wait = wait,
                .mark = mark,
                .record = cuda_record,
                .recorded = cuda_recorded,
                .settle = cuda_settle,
                .replay = cuda_replay,
                .forget = cuda_forget};
  return select_device(d) &&
         done(d, "making a stream", cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking)) &&
         done(d, "its memory", cudaDeviceGetDefaultMemPool(&g->pool, i)) &&
         done(d, "its memory", cudaMemPoolSetAttribute(g->pool, cudaMemPoolAttrReleaseThreshold, &keep)) &&
         done(d, "its memory", cudaMemGetInfo(&available, &g->stats.limit));
}

Device *cuda_device(int i) {
  static Cuda *known[MOST];
  if (known[i]) return &known[i]->device;
  Cuda *g = calloc(1, sizeof *g);
  if (!g) return fail_memory("out of memory: a device"), NULL;
  if (!open_device(g, i)) return free(g), NULL;
  known[i] = g;
  return &g->device;
}

int cuda_devices(const char **why) {
  int count = 0;
  cudaError_t e = cudaGetDeviceCount(&count);
  *why = cudaGetErrorString(e);
  return e != cudaSuccess ? 0 : count < MOST ? count : MOST;
}

const char *cuda_label(int i) {
  static char text[320];
  struct cudaDeviceProp p;
  cudaError_t e = cudaGetDeviceProperties(&p, i);
  if (e != cudaSuccess) return cudaGetErrorString(e);
  snprintf(text, sizeof text, "%s, %.1f GB, compute capability %d.%d", p.name, (double)p.totalGlobalMem / 1e9,
           p.major, p.minor);
  return text;
}

size_t cuda_bytes(int i) {
  struct cudaDeviceProp p;
  return cudaGetDeviceProperties(&p, i) ? 0 : p.totalGlobalMem;
}

const char *cuda_software(void) {
  static char text[96];
  int runtime = 0, driver = 0; /* 1000 major + 10 minor */
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  int n = snprintf(text, sizeof text, "CUDA %d.%d, ", runtime / 1000, runtime % 1000 / 10);
  n += snprintf(text + n, sizeof text - (size_t)n, driver ? "driver for %d.%d" : "no driver", driver / 1000,
                driver % 1000 / 10);
  snprintf(text + n, sizeof text - (size_t)n, "%s", cudnn_label());
  return text;
}
