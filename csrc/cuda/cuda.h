/* The CUDA half, a shared object of its own that is linked against the core: its devices (device.c), the kernels of
 * ops (op_X.c: what runs on the host; kernels/X.cu: what runs on the GPU) and of flow and maps (motion.c), and the
 * one symbol by which the core finds them (module.c).
 *
 *   op_run() ──> Kernel of op_X.c ──> launcher of kernels/X.h ──> kernels/X.cu on the device's stream
 *
 * Nothing here waits but Device.wait and copies to the host; everything is in order on one stream. */
#ifndef CUDA_CUDA_H
#define CUDA_CUDA_H

#include "core/device.h"
#include "motion/kernels.h"
#include "ops/op.h"

#include <cuda_runtime_api.h>

/* Device number i, made at its first use. NULL with a message. */
Device *cuda_device(int i);
/* How many there are; 0 with CUDA's words in *why. */
int cuda_devices(const char **why);
/* Name, memory and compute capability of device i, until the next call; the versions of CUDA, cuDNN and the driver. */
const char *cuda_label(int i);
size_t cuda_bytes(int i);
const char *cuda_software(void);

/* The stream on which a device computes. */
cudaStream_t cuda_stream(Device *d);
static inline cudaStream_t stream_of(const Call *c) { return cuda_stream(c->device); }

/* What is cached goes back to the system: of the pool, and of graphs that do not run. Waits. */
void cuda_trim(Device *d);

/* So many zeros in the device's memory, for kernels that leave them as zeros: one call after the other has the same ones
 * (kernels/last.h). NULL with a message. */
unsigned *cuda_counters(Call *c, long n);

/* Kernels that were started so far, plans of cuDNN among them. */
extern long cuda_launches;

/* Kernels of ops/op.h by the op's number and what is computed in; NULL: none. */
const void *cuda_kernel(int op, Dtype compute);
extern const MotionKernels cuda_motion;

/* Begins a range of NVTX, which does nothing unless a profiler is there; NULL: ends it. */
void cuda_range(const char *name);

#endif
