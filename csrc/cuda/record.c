/* Recording on a stream. Memory that is taken and given back meanwhile is the graph's own, by CUDA's nodes for it;
 * blocks from outside that are given back meanwhile are freed with the graph. */
#include "cuda/record.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

enum { PLACES = 1 << 15 }; /* blocks of a recording, at a time */

typedef struct Record Record;
struct Record {
  Record *next; /* of the failed ones */
  Device *device;
  cudaGraph_t graph; /* of a failed one: as long as it is there, nobody else gets its addresses */
  void *taken[PLACES], *kept[PLACES];
  long kept_bytes;
  int ntaken, nkept;
  bool crowded;
};

typedef struct Work {
  cudaGraphExec_t graph;
  long bytes; /* of kept */
  int count;
  void *kept[]; /* blocks that it reads */
} Work;

static Record *current; /* one device records at a time */
static Record *failed;  /* those that tensors of theirs outlive */
static long works;

long cuda_recordings(void) { return works + (current != NULL); }

static int done(const Device *d, const char *what, cudaError_t e) {
  if (e == cudaSuccess) return 1;
  cudaGetLastError(); /* told here: the next launch is not to find it */
  return fail("%s: recording: %s: %s", d->name, what, cudaGetErrorString(e));
}

/* Runs a graph, or maps its memory alone, which its first run would do: that is memory beside what the pool keeps, so
 * that what is cached goes where it is short. */
static int run_graph(Device *d, cudaError_t (*run)(cudaGraphExec_t, cudaStream_t), const Work *w) {
  cudaError_t e = run(w->graph, cuda_stream(d));
  if (e == cudaErrorMemoryAllocation) {
    cuda_trim(d);
    e = run(w->graph, cuda_stream(d));
  }
  if (e != cudaErrorMemoryAllocation) return done(d, "running", e);
  cudaGetLastError();
  return fail_memory("out of memory: a recording on %s", d->name);
}

static bool drop_from(void **list, int *count, void *block) {
  for (int i = *count - 1; i >= 0; i--)
    if (list[i] == block) {
      list[i] = list[--*count];
      return true;
    }
  return false;
}

int cuda_record_takes(Device *d, void *block) {
  Record *r = current;
  if (!r || r->device != d) return 1;
  if (r->ntaken == PLACES) return fail("%s: recording: expected at most %d blocks", d->name, PLACES);
  r->taken[r->ntaken++] = block;
  return 1;
}

bool cuda_record_keeps(Device *d, void *block, size_t bytes) {
  for (Record **p = &failed; *p; p = &(*p)->next) {
    Record *r = *p;
    if (r->device != d || !drop_from(r->taken, &r->ntaken, block)) continue;
    if (!r->ntaken) {
      *p = r->next;
      if (r->graph) cudaGraphDestroy(r->graph);
      free(r);
    }
    return true;
  }
  Record *r = current;
  if (!r || r->device != d || drop_from(r->taken, &r->ntaken, block)) return false;
  r->crowded = r->crowded || r->nkept == PLACES;
  if (r->crowded) return true;
  r->kept[r->nkept++] = block;
  r->kept_bytes += (long)bytes;
  return true;
}

int cuda_record(Device *d) {
  if (current) return fail("%s: recording: expected no other one, found one", d->name);
  Record *r = calloc(1, sizeof *r);
  if (!r) return fail_memory("out of memory: a recording");
  r->device = d;
  if (!done(d, "beginning", cudaStreamBeginCapture(cuda_stream(d), cudaStreamCaptureModeRelaxed)))
    return free(r), 0;
  current = r;
  return 1;
}

static Work *work_of(Device *d, const Record *r, cudaGraph_t graph) {
  if (r->ntaken)
    return fail("%s: recording: expected all memory to be given back, found %d blocks", d->name, r->ntaken),
           NULL;
  if (r->crowded) return fail("%s: recording: expected at most %d blocks", d->name, PLACES), NULL;
  Work *w = malloc(sizeof *w + (size_t)r->nkept * sizeof *w->kept);
  if (!w) return fail_memory("out of memory: a recording"), NULL;
  w->count = r->nkept;
  w->bytes = r->kept_bytes;
  memcpy(w->kept, r->kept, (size_t)r->nkept * sizeof *w->kept);
  if (done(d, "a graph", cudaGraphInstantiate(&w->graph, graph, 0))) {
    if (run_graph(d, cudaGraphUpload, w)) return w;
    cudaGraphExecDestroy(w->graph);
  }
  return free(w), NULL;
}

void *cuda_recorded(Device *d) {
  Record *r = current;
  cudaGraph_t graph = NULL;
  cudaError_t e = cudaStreamEndCapture(cuda_stream(d), &graph);
  Work *w = done(d, "ending", e) && graph ? work_of(d, r, graph) : NULL;
  cudaGetLastError();
  current = NULL;
  for (int i = 0; !w && i < r->nkept; i++) cudaFreeAsync(r->kept[i], cuda_stream(d));
  if (w) cuda_record_holds(d, w->bytes), works++;
  if (r->ntaken) {
    r->graph = graph;
    r->next = failed;
    failed = r;
  } else {
    if (graph) cudaGraphDestroy(graph);
    free(r);
  }
  return w;
}

int cuda_replay(Device *d, void *work) {
  cuda_launches++;
  return run_graph(d, cudaGraphLaunch, work);
}

void cuda_forget(Device *d, void *work) {
  Work *w = work;
  cudaGraphExecDestroy(w->graph);
  cudaDeviceGraphMemTrim(d->index);
  cuda_record_holds(d, -w->bytes);
  works--;
  for (int i = 0; i < w->count; i++) d->give(d, w->kept[i], 0);
  free(w);
}
