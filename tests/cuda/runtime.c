/* The runtime on the host's memory. COHESIV_CUDA_DEVICES: how many devices there are, 1 unless given;
 * COHESIV_CUDA_MEMORY: their bytes, beyond which asking for more fails; COHESIV_CUDA_CROWDED: graphs find no memory;
 * COHESIV_CUDA_IDLE: kernels are counted, and none
 * runs, nor is anything large copied. Fresh memory is filled with NaN. */
#include "cuda_runtime_api.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 64, COPIED_IDLE = 4096 }; /* HEAD: in front of a block, its size */

/* Bytes: of blocks; that the pool has of the device, those among them; that graphs have beside it. The pool keeps what is
 * given back until it is trimmed; a graph has what it needs at most at a time, from its first run or its upload until
 * graphs are trimmed. */
static size_t used, pool, mapped;

static size_t variable(const char *name, size_t otherwise) {
  const char *s = getenv(name);
  return s ? (size_t)strtoull(s, NULL, 10) : otherwise;
}

int cuda_double_idle(void) {
  static int idle = -1;
  if (idle < 0) idle = getenv("COHESIV_CUDA_IDLE") != NULL;
  return idle;
}

cudaError_t cudaGetDeviceCount(int *count) {
  *count = (int)variable("COHESIV_CUDA_DEVICES", 1);
  return *count ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaMemGetInfo(size_t *free_, size_t *total) {
  *total = variable("COHESIV_CUDA_MEMORY", (size_t)4 << 30);
  *free_ = *total - pool - mapped;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int index) {
  size_t free_;
  (void)index;
  *p = (struct cudaDeviceProp){.name = "CPU in place of a GPU", .major = 9};
  return cudaMemGetInfo(&free_, &p->totalGlobalMem);
}

cudaError_t cudaRuntimeGetVersion(int *version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int *version) { return *version = 13010, cudaSuccess; }

static size_t size_of(const void *block) {
  size_t bytes;
  memcpy(&bytes, (const char *)block - HEAD, sizeof bytes);
  return bytes;
}

/* ---- graphs ---- */

typedef struct Kept {
  void (*run)(void *);
  void *data;
  void (*drop)(void *);
} Kept;

/* Blocks that are taken while it is captured are the graph's: filled with NaN at each run, freed with it. */
struct CUgraph_st {
  Kept *kept;
  void **block;
  int count, blocks, refs;
  size_t live, peak; /* of its blocks, as it runs */
  bool is_mapped;
  struct CUgraph_st *next; /* of those that are mapped */
};

static struct CUgraph_st *captured, *first_mapped;

static void unmap(void) {
  for (; first_mapped; first_mapped = first_mapped->next) first_mapped->is_mapped = false;
  mapped = 0;
}

int graph_captures(void) { return captured != NULL; }

void graph_add(void (*run)(void *), void *data, void (*drop)(void *)) {
  captured->kept = realloc(captured->kept, (size_t)(captured->count + 1) * sizeof(Kept));
  captured->kept[captured->count++] = (Kept){run, data, drop};
}

typedef struct Move { /* a copy, or bytes that are set: from NULL */
  void *to;
  const void *from;
  int byte;
  size_t bytes;
} Move;

static void move_now(void *data) {
  const Move *m = data;
  if (m->bytes && m->from)
    memmove(m->to, m->from, m->bytes);
  else if (m->bytes)
    memset(m->to, m->byte, m->bytes);
}

static cudaError_t move(Move m) {
  if (!captured) return move_now(&m), cudaSuccess;
  Move *kept = malloc(sizeof *kept);
  *kept = m;
  graph_add(move_now, kept, free);
  return cudaSuccess;
}

static bool own_block(const struct CUgraph_st *g, const void *block) {
  for (int i = 0; g && i < g->blocks; i++)
    if (g->block[i] == block) return true;
  return false;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  (void)stream, (void)mode;
  captured = calloc(1, sizeof *captured);
  captured->refs = 1;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  (void)stream;
  *graph = captured;
  captured = NULL;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags) {
  (void)flags;
  graph->refs++;
  return *exec = graph, cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t g, cudaStream_t stream) {
  (void)stream;
  size_t free_, total;
  cudaMemGetInfo(&free_, &total);
  if (getenv("COHESIV_CUDA_CROWDED")) return cudaErrorMemoryAllocation;
  if (g->is_mapped) return cudaSuccess;
  if (g->peak > free_) return cudaErrorMemoryAllocation;
  g->is_mapped = true;
  g->next = first_mapped;
  first_mapped = g;
  mapped += g->peak;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t g, cudaStream_t stream) {
  cudaError_t e = cudaGraphUpload(g, stream);
  if (e) return e;
  cuda_double_reach();
  for (int i = 0; i < g->count; i++) g->kept[i].run(g->kept[i].data);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g) {
  if (--g->refs) return cudaSuccess;
  for (int i = 0; i < g->count; i++) g->kept[i].drop(g->kept[i].data);
  for (int i = 0; i < g->blocks; i++) free((char *)g->block[i] - HEAD);
  for (struct CUgraph_st **p = &first_mapped; *p; p = &(*p)->next)
    if (*p == g) {
      *p = g->next;
      mapped -= g->peak;
      break;
    }
  free(g->kept);
  free(g->block);
  free(g);
  return cudaSuccess;
}

cudaError_t cudaDeviceGetGraphMemAttribute(int index, cudaGraphMemAttributeType attribute, void *value) {
  (void)index, (void)attribute;
  *(uint64_t *)value = mapped;
  return cudaSuccess;
}

cudaError_t cudaDeviceGraphMemTrim(int index) { return (void)index, unmap(), cudaSuccess; }

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t g) { return cudaGraphDestroy(g); }

/* ---- memory ---- */

/* A double that computes nothing keeps what is given back by its size, as a driver's pool does: the system's pages are
 * not what its time is to be measured by. Lists go through the heads. */
enum { BUCKETS = 4096 };
static char *kept_blocks[BUCKETS];

static char **kept_of(size_t bytes) { return &kept_blocks[(bytes >> 2) * 2654435761u % BUCKETS]; }

static char *take_block(size_t bytes) {
  if (cuda_double_idle())
    for (char **p = kept_of(bytes); *p; p = (char **)(*p + sizeof bytes))
      if (size_of(*p + HEAD) == bytes) {
        char *found = *p;
        memcpy(p, found + sizeof bytes, sizeof *p);
        return found;
      }
  return malloc(bytes + HEAD);
}

static void give_block(char *p) {
  if (!cuda_double_idle()) return free(p);
  char **list = kept_of(size_of(p + HEAD));
  memcpy(p + sizeof(size_t), list, sizeof *list);
  *list = p;
}

cudaError_t cudaMallocAsync(void **block, size_t bytes, cudaStream_t stream) {
  (void)stream;
  size_t free_, total;
  cudaMemGetInfo(&free_, &total);
  char *p = captured || used + bytes <= pool + free_ ? take_block(bytes) : NULL;
  *block = NULL;
  if (!p) return cudaErrorMemoryAllocation;
  memcpy(p, &bytes, sizeof bytes);
  *block = p + HEAD;
  if (!cuda_double_idle()) move((Move){.to = *block, .byte = 0xff, .bytes = bytes});
  if (!captured) {
    used += bytes;
    if (used > pool) pool = used;
  } else {
    captured->live += bytes;
    if (captured->live > captured->peak) captured->peak = captured->live;
    captured->block = realloc(captured->block, (size_t)(captured->blocks + 1) * sizeof *captured->block);
    captured->block[captured->blocks++] = *block;
  }
  return cudaSuccess;
}

cudaError_t cudaFreeAsync(void *block, cudaStream_t stream) {
  (void)stream;
  if (!block) return cudaSuccess;
  if (captured && !own_block(captured, block)) return cudaErrorStreamCaptureUnsupported;
  cuda_double_reach();
  if (captured) return captured->live -= size_of(block), cudaSuccess;
  used -= size_of(block);
  give_block((char *)block - HEAD);
  return cudaSuccess;
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t p, cudaMemPoolAttr attribute, void *value) {
  (void)p;
  *(uint64_t *)value = attribute == cudaMemPoolAttrReservedMemCurrent ? pool : used;
  return cudaSuccess;
}

/* ---- copies from pinned memory ---- */

/* Those that are asked for and not done, in order. One is done when its event is waited for (`due`) and something runs,
 * not earlier: what reads its target without waiting sees NaN, and what writes its source meanwhile spoils it. */
typedef struct Copy {
  void *to;
  const void *from;
  size_t bytes;
  cudaStream_t stream;
  int due;
} Copy;

static double taken; /* milliseconds so far, of what says how long it takes */

void cuda_double_take(double milliseconds) { taken += milliseconds; }

struct CUevent_st {
  double time;
  cudaStream_t stream;
  long after; /* so many copies had been asked for */
};

enum { COPIES = 1024, PINNED = 256 };
static Copy copies[COPIES];
static long asked, finished; /* copies[finished % COPIES] is the first that may not be done */
static struct {
  char *block;
  size_t bytes;
} pinned[PINNED];

static int is_pinned(const void *p) {
  for (int i = 0; i < PINNED; i++)
    if ((const char *)p >= pinned[i].block && (const char *)p < pinned[i].block + pinned[i].bytes) return 1;
  return 0;
}

static void run_copies(void) {
  for (long i = finished; i < asked; i++) {
    Copy *c = &copies[i % COPIES];
    if (c->due && c->bytes) memmove(c->to, c->from, c->bytes), c->bytes = 0;
  }
  while (finished < asked && !copies[finished % COPIES].bytes) finished++;
}

void cuda_double_reach(void) { run_copies(); }

/* Those of a stream among the first `count` have to be done before what comes next. */
static void mark_due(cudaStream_t stream, long count) {
  for (long i = finished; i < count; i++)
    if (copies[i % COPIES].stream == stream) copies[i % COPIES].due = 1;
}

cudaError_t cudaMallocHost(void **block, size_t bytes) {
  for (int i = 0; i < PINNED; i++)
    if (!pinned[i].block) {
      *block = pinned[i].block = malloc(bytes);
      pinned[i].bytes = bytes;
      return *block ? cudaSuccess : cudaErrorMemoryAllocation;
    }
  return cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *block) {
  for (int i = 0; i < PINNED; i++)
    if (pinned[i].block == block) pinned[i].block = NULL, pinned[i].bytes = 0;
  free(block);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  (void)flags;
  *event = calloc(1, sizeof **event);
  return *event ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) { return free(event), cudaSuccess; }

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  return *milliseconds = (float)(end->time - begin->time), cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->time = taken;
  event->stream = stream;
  event->after = asked;
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  for (long i = finished; i < event->after; i++)
    if (copies[i % COPIES].stream == event->stream && copies[i % COPIES].bytes) return cudaErrorNotReady;
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  (void)stream, (void)flags;
  mark_due(event->stream, event->after);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  mark_due(event->stream, event->after);
  run_copies();
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (captured) return cudaErrorStreamCaptureUnsupported;
  mark_due(stream, asked);
  run_copies();
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  (void)kind;
  if (cuda_double_idle() && bytes > COPIED_IDLE) return cudaSuccess;
  if (captured) return move((Move){.to = to, .from = from, .bytes = bytes});
  if (bytes && is_pinned(from) && asked - finished < COPIES) {
    copies[asked++ % COPIES] = (Copy){to, from, bytes, stream, 0};
    return cudaSuccess;
  }
  mark_due(stream, asked);
  run_copies();
  if (bytes) memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t stream) {
  if (cuda_double_idle()) return cudaSuccess;
  if (captured) return move((Move){.to = to, .byte = byte, .bytes = bytes});
  mark_due(stream, asked);
  run_copies();
  if (bytes) memset(to, byte, bytes);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *a, const void *p) {
  (void)p;
  a->type = cudaMemoryTypeDevice;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int index) { return (void)index, cudaSuccess; }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags) {
  static char streams[64];
  static int count;
  return (void)flags, *s = (cudaStream_t)&streams[count++ % 64], cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *p, int index) {
  return (void)index, *p = NULL, cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t p, cudaMemPoolAttr a, void *value) {
  return (void)p, (void)a, (void)value, cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t p, size_t keep) {
  (void)p;
  if (pool > keep) pool = used > keep ? used : keep;
  return cudaSuccess;
}
cudaError_t cudaGetLastError(void) { return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t e) {
  return e == cudaErrorMemoryAllocation ? "out of memory" : e == cudaErrorNoDevice ? "no device" : "no error";
}
