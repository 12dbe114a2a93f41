/* cuDNN's graph API as this library uses it: opened at its first use, so that everything works with kernels of our own
 * where it is missing. A build without its headers knows nothing of it; one for the CPU has a double (tests/cuda). */
#ifndef CUDA_CUDNN_H
#define CUDA_CUDNN_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#if !defined CUDA_ON_CPU && __has_include(<cudnn_backend.h>)
#define CUDNN_BUILT 1
#include <cudnn_backend.h>

/* The functions that are used. */
typedef struct Cudnn {
  __typeof__(cudnnGetVersion) *version;
  __typeof__(cudnnGetLastErrorString) *last_error;
  __typeof__(cudnnCreate) *create;
  __typeof__(cudnnDestroy) *drop;
  __typeof__(cudnnSetStream) *set_stream;
  __typeof__(cudnnBackendCreateDescriptor) *make;
  __typeof__(cudnnBackendDestroyDescriptor) *destroy;
  __typeof__(cudnnBackendSetAttribute) *set;
  __typeof__(cudnnBackendGetAttribute) *get;
  __typeof__(cudnnBackendFinalize) *finalize;
  __typeof__(cudnnBackendExecute) *execute;
} Cudnn;

/* The library. NULL with a message where it is missing, another one than was built for, or switched off:
 * COHESIV_CUDNN=off. */
const Cudnn *cudnn(void);
#endif

/* Whether there is one; what fails says why. */
bool cudnn_there(void);

/* A cudnnHandle_t for the current device, which works on this stream. NULL with a message. */
void *cudnn_handle(cudaStream_t stream);

/* ", cuDNN 9.19.0", to stand behind other versions, or that there is none. */
const char *cudnn_label(void);

#endif
