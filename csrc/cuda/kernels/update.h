/* Updates of parameters in place, of many in one launch: which ones is a table that the launch carries. */
#ifndef CUDA_KERNELS_UPDATE_H
#define CUDA_KERNELS_UPDATE_H

#include "cuda/kernels/kernels.h"

#include <cuda_runtime_api.h>

/* LERP draws p towards g; SCALE multiplies p; BF16 and F16 round p, which is only read, into the memory of `first`;
 * WIDEN_… fill p with what stands there as halves. */
typedef enum UpdateKind {
  UPDATE_ADAMW,
  UPDATE_SGD,
  UPDATE_LERP,
  UPDATE_SCALE,
  UPDATE_BF16,
  UPDATE_F16,
  UPDATE_WIDEN_BF16,
  UPDATE_WIDEN_F16
} UpdateKind;

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

/* Blocks of a row of n numbers; of none, too, there is one, since launches of no block are none. */
#define UPDATE_BLOCKS(n) ((n) ? (unsigned)(((n)-1) / UPDATE_CHUNK + 1) : 1u)

typedef struct UpdateRows {
  int count;
  unsigned blocks;
  UpdateRow row[UPDATE_ROWS];
} UpdateRows;

/* Starts the kernel for these rows, and empties them. numbers: OP_NUMBERS on the device, which begin with struct
 * adamw_step or sgd_step, or the share or factor; NULL: rounding and widening. */
LAUNCHER int update_on(CudaStream s, UpdateKind kind, const float *numbers, UpdateRows *rows);

/* Adds the squares of all rows' numbers g to p[0], which is the same for every row; they are then emptied. partial:
 * rows->blocks; counter: see kernels/last.h. */
LAUNCHER int update_squares_on(CudaStream s, UpdateRows *rows, float *partial, unsigned *counter);

/* What the next update multiplies gradients by (ops/bodies_gradient_factor.h), of tensors on the device. */
struct gradient_factor_args;
LAUNCHER int gradient_factor_on(CudaStream s, const struct gradient_factor_args *a);

#endif
