/* Updates of parameters in place, of many in one launch: which ones is a table that the launch carries. */
#ifndef CUDA_KERNELS_UPDATE_H
#define CUDA_KERNELS_UPDATE_H

#include "cuda/kernels/kernels.h"

#include <cuda_runtime_api.h>

typedef enum UpdateKind { UPDATE_ADAMW, UPDATE_SGD } UpdateKind;

/* UPDATE_CHUNK: numbers a block. What a launch may carry is 4 KB, or 32 KB from CUDA 12.1 on. */
enum { UPDATE_CHUNK = 4096 };
#if defined CUDART_VERSION && CUDART_VERSION < 12010
enum { UPDATE_ROWS = 96 };
#else
enum { UPDATE_ROWS = 800 };
#endif

typedef struct UpdateRow {
  float *p, *first, *second; /* the parameter and its state: AdamW's moments, SGD's velocity or none */
  const float *g;
  unsigned n, block; /* how many numbers; the first block that has some of them */
} UpdateRow;

typedef struct UpdateRows {
  int count;
  unsigned blocks;
  UpdateRow row[UPDATE_ROWS];
} UpdateRows;

/* Starts the kernel for these rows, and empties them. numbers: struct adamw_step or sgd_step, on the device. */
LAUNCHER int update_on(CudaStream s, UpdateKind kind, const float *numbers, UpdateRows *rows);

#endif
