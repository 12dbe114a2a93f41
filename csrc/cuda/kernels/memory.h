/* Filling, adding and converting what lies in a device's memory. All return 1, or 0 with a message. */
#ifndef CUDA_KERNELS_MEMORY_H
#define CUDA_KERNELS_MEMORY_H

#include "cuda/kernels/kernels.h"

/* n times the unit of 1, 2, 4 or 8 bytes, which is in the host's memory. */
LAUNCHER int fill_units(CudaStream s, void *to, const void *unit, size_t bytes, long n);
enum { PUT_BYTES = 256 }; /* DEVICE_PUT of core/device.h */
/* Up to PUT_BYTES bytes of the host's memory, which the launch carries: nothing is read from there later. */
LAUNCHER int put_bytes(CudaStream s, void *to, const void *from, size_t bytes);
/* to += from, of float64, float32 or halves. */
LAUNCHER int accumulate_into(CudaStream s, Dtype dtype, void *to, const void *from, long n);
/* to (+)= from, halves. */
LAUNCHER int widen_into(CudaStream s, Dtype from_dtype, const void *from, float *to, long n, bool add);
/* As core/cast.c: between any two dtypes. */
LAUNCHER int cast_numbers(CudaStream s, Dtype from_dtype, const void *from, Dtype to_dtype, void *to, long n);

#endif
