/* What launchers share with the C code that calls them. A launcher starts kernels on a stream and does not wait;
 * pointers are the device's, sizes in elements unless said otherwise. It returns 1, or 0 with a message. */
#ifndef CUDA_KERNELS_KERNELS_H
#define CUDA_KERNELS_KERNELS_H

#include "core/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define LAUNCHER extern "C"
#else
#define LAUNCHER extern
#endif

typedef struct CUstream_st *CudaStream; /* CUDA's cudaStream_t */

#endif
