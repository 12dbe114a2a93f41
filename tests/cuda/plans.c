/* Plans convolutions and norms with cuDNN for GPUs that are not here (csrc/cuda/graph.c), and says what came of each:
 *
 *   plans GPU <problems       GPU: h100 a100 rtx4090
 *
 * A problem is a line: pass (0 forward, 1 data, 2 weight, 3 statistics, 4 a norm, 5 its gradient), dtype (float32, bfloat16, float16), the letters of what
 * else is asked for (t TF32, c engines compiled at run time, a add, s scale, b shift, r residual; - none), the activation's
 * number, the sizes of ConvShape from n to left, and a name. A line comes back: the name, a tab, the plan or "no plan". */
#include "cuda/cudnn.h"
#include "cuda/graph.h"

#include "core/error.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct Gpu {
  const char *key, *name;
  int version, processors, shared, blocks,
      threads;                    /* version: 100 major + 10 minor; the rest of a multiprocessor */
  long memory;                    /* bytes */
  int clock, memory_clock, cache; /* kHz, kHz, bytes */
} Gpu;

static const Gpu gpus[] = {
    {"h100", "NVIDIA H100 80GB HBM3", 900, 132, 232448, 32, 2048, 85176483840, 1980000, 2619000, 52428800},
    {"a100", "NVIDIA A100-SXM4-80GB", 800, 108, 166912, 32, 2048, 85094825984, 1410000, 1593000, 41943040},
    {"rtx4090", "NVIDIA GeForce RTX 4090", 890, 128, 101376, 24, 1536, 25386352640, 2520000, 10501000,
     75497472},
};

/* As cuDNN describes a device that is there; all of these are required. */
static void describe(const Gpu *g, char *text, size_t size) {
  snprintf(
      text, size,
      "{\"deviceVer\":%d,\"deviceName\":\"%s\",\"multiProcessorCount\":%d,\"maxSharedMemoryPerBlockOptin\":%"
      "d,"
      "\"maxCtasPerSM\":%d,\"maxThreadsPerSM\":%d,\"totalGlobalMem\":%ld,\"smClockRateKHz\":%d,"
      "\"memClockRateKHz\":%d,\"l2CacheSize\":%d,\"maxGridSize\":[2147483647,65535,65535],"
      "\"maxBlockSize\":[1024,1024,64],\"maxThreadsPerBlock\":1024,\"warpSize\":32,\"regsPerBlock\":65536,"
      "\"maxRegistersPerSM\":65536,\"maxSharedMemoryPerBlock\":49152,\"reservedSharedMemoryPerBlock\":1024,"
      "\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1,\"cudaDeviceId\":0,\"driverVer\":13000}",
      g->version, g->name, g->processors, g->shared, g->blocks, g->threads, g->memory, g->clock,
      g->memory_clock, g->cache);
}

static Dtype dtype_of(const char *name) {
  return strcmp(name, "bfloat16") == 0 ? BF16 : strcmp(name, "float16") == 0 ? F16 : F32;
}

static int read_problem(const char *line, Problem *p, char *name) {
  char dtype[16], letters[16];
  int pass, act;
  ConvShape *s = &p->shape;
  *p = (Problem){0};
  if (sscanf(line,
             "%d %15s %15s %d %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %199[^\n]",
             &pass, dtype, letters, &act, &s->n, &s->h, &s->w, &s->ci, &s->co, &s->kh, &s->kw, &s->groups,
             &s->ho, &s->wo, &s->stride_h, &s->stride_w, &s->dilation_h, &s->dilation_w, &s->top, &s->left,
             name) != 21)
    return 0;
  p->pass = (Pass)pass;
  p->act = (Activation)act;
  p->dtype = dtype_of(dtype);
  p->tf32 = strchr(letters, 't'), p->compile = strchr(letters, 'c'), p->add = strchr(letters, 'a');
  p->scale = strchr(letters, 's'), p->shift = strchr(letters, 'b'), p->residual = strchr(letters, 'r');
  return 1;
}

static double milliseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int count, char **words) {
  char properties[1024] = "", line[512], name[200];
  Problem p;
  for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++)
    if (count == 2 && strcmp(words[1], gpus[i].key) == 0) describe(&gpus[i], properties, sizeof properties);
  if (!properties[0]) return fprintf(stderr, "usage: plans h100|a100|rtx4090 <problems\n"), 2;
  printf("for %s%s\n", words[1], cudnn_label());
  while (fgets(line, sizeof line, stdin)) {
    if (!read_problem(line, &p, name)) return fprintf(stderr, "expected a problem, found: %s", line), 2;
    double start = milliseconds();
    Plan *plan = plan_new(&p, NULL, properties);
    printf("%s\t", name);
    if (plan)
      printf("engine %ld%s%s, %zu bytes, %.1f ms\n", plan->engine, plan->compiled ? ", compiled" : "",
             plan->tensor_cores ? ", tensor cores" : "", plan->workspace, milliseconds() - start);
    else
      printf("no plan: %s\n", error_message());
    plan_free(plan);
  }
  return 0;
}
