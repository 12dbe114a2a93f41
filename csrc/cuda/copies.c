/* The pinned buffers: a few, of powers of two, each used again when what it held has been sent. */
#include "cuda/copies.h"

#include <string.h>

enum { LEAST = 1 << 16, MOST = 1 << 26 }; /* bytes of a copy that is staged */

static size_t rounded(size_t bytes) {
  size_t size = LEAST;
  while (size < bytes) size *= 2;
  return size;
}

/* Pinned memory for a buffer that has none; 0: there is none to be had. */
static int fill_buffer(Staging *s, size_t bytes) {
  if (cudaMallocHost(&s->host, rounded(bytes)) == cudaSuccess) return s->bytes = rounded(bytes), 1;
  cudaGetLastError();
  s->host = NULL;
  s->bytes = 0;
  return 0;
}

static Staging *add_buffer(Copies *c) {
  Staging *s = &c->staging[c->count];
  if (!c->stream && cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking) != cudaSuccess) return NULL;
  if (cudaEventCreateWithFlags(&s->sent, cudaEventDisableTiming) != cudaSuccess) return NULL;
  c->count++;
  return s;
}

/* The smallest buffer at rest that is large enough, else any at rest, else a new one, else the first one at rest. */
static Staging *find_buffer(Copies *c, size_t bytes) {
  Staging *best = NULL;
  for (int i = 0; i < c->count; i++) {
    Staging *s = &c->staging[i];
    if (cudaEventQuery(s->sent) != cudaSuccess) continue;
    const int fits = s->bytes >= bytes,
              better = !best || (fits ? best->bytes < bytes || s->bytes < best->bytes : 0);
    if (better) best = s;
  }
  cudaGetLastError(); /* that one is not ready is no failure */
  if (best && best->bytes >= bytes) return best;
  if (c->count < STAGINGS) return add_buffer(c);
  if (best) return best;
  return cudaEventSynchronize(c->staging[0].sent) == cudaSuccess ? &c->staging[0] : NULL;
}

const Staging *copies_stage(Copies *c, const void *from, size_t bytes) {
  if (bytes < LEAST || bytes > MOST) return NULL;
  Staging *s = find_buffer(c, bytes);
  if (!s) return NULL;
  if (s->bytes < bytes) {
    if (s->host) cudaFreeHost(s->host);
    if (!fill_buffer(s, bytes)) return NULL;
  }
  memcpy(s->host, from, bytes);
  return s;
}

cudaError_t copies_send(Copies *c, const Staging *s, void *to, size_t bytes, cudaStream_t user) {
  cudaError_t e = cudaMemcpyAsync(to, s->host, bytes, cudaMemcpyDefault, c->stream);
  if (e == cudaSuccess) e = cudaEventRecord(s->sent, c->stream);
  return e == cudaSuccess ? cudaStreamWaitEvent(user, s->sent, 0) : e;
}
