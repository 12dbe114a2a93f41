/* Loops over the thread pool. A kernel is a struct of arguments and a function, the body, for index i; KERNEL makes
 * of them what EACH runs for i in 0 .. n-1, cut into chunks. A body may write only what belongs to index i (the
 * CPU gathers, it never scatters). Files that both devices share are compiled as CUDA, too: bodies are device
 * functions there, kernels are csrc/cuda's own.
 *
 *   struct negate_args {
 *     const real *x;
 *     real *y;
 *   };
 *   BODY void negate_body(const struct negate_args *a, long i) { a->y[i] = -a->x[i]; }
 *   KERNEL(negate)
 *   ...
 *   return EACH(negate, n, 4096, .x = x, .y = y); // 4096 indices per chunk: a constant of the kernel
 */
#ifndef BACKEND_EACH_H
#define BACKEND_EACH_H

#ifdef __CUDACC__
#define ON_CUDA
#endif

#ifdef ON_CUDA

#define BODY static __device__ inline
#define KERNEL(name) /* a grid of one thread an index suits none of them */

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

#define BODY static inline
#define KERNEL(name)                                                                                         \
  static void name##_range(const void *args, long begin, long end) {                                         \
    for (long i = begin; i < end; i++) name##_body((const struct name##_args *)args, i);                     \
  }

/* 1, or 0 with a message (interrupted). */
#define EACH(name, n, grain, ...) each_run((n), (grain), name##_range, &(struct name##_args){__VA_ARGS__})

#endif
#endif
