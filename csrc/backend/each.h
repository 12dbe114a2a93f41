/* Loops that are written once and run on both devices. KERNEL declares the arguments and the body for index
 * i; EACH runs it for i in 0 .. n-1. Compiled as C the range is cut into chunks for the thread pool, compiled
 * as CUDA it becomes a grid. A body may write only what belongs to index i (the CPU gathers, it never
 * scatters).
 *
 *   KERNEL(negate, { const real *x; real *y; }, { a->y[i] = -a->x[i]; })
 *   return EACH(negate, n, 4096, .x = x, .y = y);       // 4096: indices a chunk, a constant of the kernel
 */
#ifndef BACKEND_EACH_H
#define BACKEND_EACH_H

#ifdef __CUDACC__

#define KERNEL(name, fields, ...)                                                                            \
  struct name##_args fields;                                                                                 \
  static __global__ void name##_kernel(long n, struct name##_args args) {                                    \
    const struct name##_args *a = &args;                                                                     \
    long i = (long)blockIdx.x * blockDim.x + threadIdx.x;                                                    \
    (void)a;                                                                                                 \
    if (i < n) __VA_ARGS__                                                                                   \
  }

#else

#include "core/pool.h"

typedef struct EachJob {
  long n, grain;
  const void *args;
  void (*range)(const void *args, long begin, long end);
} EachJob;

static inline int each_chunk(void *arg, long c) {
  const EachJob *job = (const EachJob *)arg;
  long begin = c * job->grain, end = begin + job->grain;
  job->range(job->args, begin, end < job->n ? end : job->n);
  return 1;
}

static inline int each_run(long n, long grain, void (*range)(const void *, long, long), const void *args) {
  EachJob job = {n, grain, args, range};
  return parallel((n + grain - 1) / grain, each_chunk, &job);
}

#define KERNEL(name, fields, ...)                                                                            \
  struct name##_args fields;                                                                                 \
  static void name##_range(const void *args_, long begin_, long end_) {                                      \
    const struct name##_args *a = (const struct name##_args *)args_;                                         \
    (void)a;                                                                                                 \
    for (long i = begin_; i < end_; i++) __VA_ARGS__                                                         \
  }

/* 1, or 0 with a message (interrupted). */
#define EACH(name, n, grain, ...) each_run((n), (grain), name##_range, &(struct name##_args){__VA_ARGS__})

#endif
#endif
