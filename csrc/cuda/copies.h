/* Copies to a device that do not wait: the host's memory is copied to a pinned buffer, from which a stream of its own
 * copies it to the device; what computes there waits for an event. Small ones, which CUDA takes along with the call,
 * and very large ones are none of this file's. */
#ifndef CUDA_COPIES_H
#define CUDA_COPIES_H

#include <cuda_runtime_api.h>

enum { STAGINGS = 16 };

typedef struct Staging {
  void *host; /* pinned */
  size_t bytes;
  cudaEvent_t sent; /* after the last copy out of it */
} Staging;

typedef struct Copies {
  cudaStream_t stream; /* made with the first buffer */
  Staging staging[STAGINGS];
  int count;
} Copies;

/* A buffer that holds these bytes; NULL (no message): they have to go another way. */
const Staging *copies_stage(Copies *c, const void *from, size_t bytes);

/* Copies them to a block of the copies' stream; `user` goes on when they are there. */
cudaError_t copies_send(Copies *c, const Staging *s, void *to, size_t bytes, cudaStream_t user);

#endif
