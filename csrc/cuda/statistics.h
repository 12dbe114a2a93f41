/* Sums of a tensor's channels, and of their squares, that what made the tensor has added up meanwhile. */
#ifndef CUDA_STATISTICS_H
#define CUDA_STATISTICS_H

#include "cuda/cuda.h"

typedef struct ChannelSums {
  float *sums, *squares; /* on a boundary of 16 bytes each */
} ChannelSums;

/* Room for a tensor's, which is given up by tensor_release. NULL with a message. */
Tensor *cuda_sums_new(const Tensor *of);
ChannelSums cuda_sums_at(const Tensor *room);
/* From here on, and until t is written to, these are its sums. Takes over the room. 0 with a message. */
int cuda_sums_keep(const Tensor *t, Tensor *room);
/* Those of t as it is now; NULLs: they are not known. */
ChannelSums cuda_sums_of(const Tensor *t);

/* The pass over x, of the call's dtype, by which batch norm in training finds them where it takes one of its own
 * (op_norm.c), with results for nobody: to be measured. */
int cuda_sums_look(Call *c, long rows, long channels, const void *x);

#endif
