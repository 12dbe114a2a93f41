/* The runtime on the host's memory. COHESIV_CUDA_DEVICES: how many devices there are, 1 unless given;
 * COHESIV_CUDA_MEMORY: their bytes, beyond which asking for more fails. Fresh memory is filled with NaN. */
#include "cuda_runtime_api.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 64 }; /* in front of a block: its size */

static size_t used;

static size_t variable(const char *name, size_t otherwise) {
  const char *s = getenv(name);
  return s ? (size_t)strtoull(s, NULL, 10) : otherwise;
}

cudaError_t cudaGetDeviceCount(int *count) {
  *count = (int)variable("COHESIV_CUDA_DEVICES", 1);
  return *count ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaMemGetInfo(size_t *free_, size_t *total) {
  *total = variable("COHESIV_CUDA_MEMORY", (size_t)4 << 30);
  *free_ = *total - used;
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

cudaError_t cudaMallocAsync(void **block, size_t bytes, cudaStream_t stream) {
  (void)stream;
  size_t free_, total;
  cudaMemGetInfo(&free_, &total);
  char *p = bytes <= free_ ? malloc(bytes + HEAD) : NULL;
  *block = NULL;
  if (!p) return cudaErrorMemoryAllocation;
  memcpy(p, &bytes, sizeof bytes);
  memset(p + HEAD, 0xff, bytes);
  used += bytes;
  *block = p + HEAD;
  return cudaSuccess;
}

cudaError_t cudaFreeAsync(void *block, cudaStream_t stream) {
  (void)stream;
  size_t bytes;
  if (!block) return cudaSuccess;
  memcpy(&bytes, (char *)block - HEAD, sizeof bytes);
  used -= bytes;
  free((char *)block - HEAD);
  return cudaSuccess;
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value) {
  (void)pool, (void)attribute;
  *(uint64_t *)value = used;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  (void)kind, (void)stream;
  if (bytes) memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t stream) {
  (void)stream;
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
  return (void)flags, *s = NULL, cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) { return (void)s, cudaSuccess; }
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int index) {
  return (void)index, *pool = NULL, cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr a, void *value) {
  return (void)pool, (void)a, (void)value, cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep) { return (void)pool, (void)keep, cudaSuccess; }
cudaError_t cudaGetLastError(void) { return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t e) {
  return e == cudaErrorMemoryAllocation ? "out of memory" : e == cudaErrorNoDevice ? "no device" : "no error";
}
