/* Devices: where the memory of tensors lies, and who moves, fills, adds and converts what is in it. A tensor and
 * its storage name their device; kernels of ops are found by the device's kind (ops/kernels.h).
 *
 *   Tensor ──> Storage ──> memory of ──> Device { take give copy fill accumulate cast wait memory }
 *
 * The CPU is the first device and always there. A guard (device_guard.c) runs the CPU's kernels on memory that
 * nobody may touch otherwise: what reads tensors behind a device's back faults on it. Devices of other kinds
 * come from a shared object beside the core (device_module.c). */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include "core/dtype.h"
#include "core/memory.h"

#include <stdint.h>

#pragma GCC visibility push(default) /* for the shared objects of other devices */

typedef enum DeviceKind { DEVICE_CPU, DEVICE_GUARD, DEVICE_CUDA, DEVICE_KINDS } DeviceKind;
extern const char *const device_kind_name[DEVICE_KINDS]; /* "cpu", "guard", "cuda" */

enum { DEVICE_PUT = 256 };

typedef struct Device Device;

struct Device {
  const char *name; /* as users say it */
  DeviceKind kind;
  int index; /* among those of its kind, from 0 */

  /* Memory; take: NULL with a message. Blocks are given back with the bytes that were asked for. */
  void *(*take)(Device *, size_t bytes);
  void (*give)(Device *, void *block, size_t bytes);
  MemoryStats (*memory)(Device *);
  void (*reset_peak)(Device *); /* of these; NULL: memory.h has them */

  /* Work, in the order in which it is asked for: 1, or 0 with a message. Of copy one side is memory of this
   * device, the other too, or the host's. fill: n times the unit of `bytes` bytes; NULL: zeros. */
  int (*copy)(Device *, void *to, const void *from, size_t bytes);
  int (*put)(Device *, void *to, const void *from, size_t bytes); /* up to DEVICE_PUT of the host's, which go
                                                                     with the command; NULL: copy does */
  int (*fill)(Device *, void *to, const void *unit, size_t bytes, long n);
  /* A block with these bytes of the host, which are free to change at once though they may still be on their way:
   * work that is asked for later waits for them, what was asked for before goes on. NULL: take and copy. */
  void *(*send)(Device *, const void *from, size_t bytes);
  int (*accumulate)(Device *, Dtype, void *to, const void *from,
                    long n); /* of a kind that it computes with */
  int (*cast)(Device *, Dtype from_dtype, const void *from, Dtype to_dtype, void *to, long n);

  /* Around kernels of ops that run here; they nest. NULL: nothing to do. window: what kernels add to an address
   * meanwhile (a guard's: see there); 0 otherwise. */
  ptrdiff_t window;
  void (*enter)(Device *);
  void (*leave)(Device *);

  /* Done when all work is. Raises what was deferred: see device_defer. */
  int (*wait)(Device *);
  int64_t (*mark)(Device *); /* nanoseconds: when what was asked for so far is done */

  /* Work that is kept instead of done, to be done as often as one likes; NULL: this device cannot. Between record and
   * recorded nothing is read on the host, and all memory that is taken is given back. recorded: NULL with a message. */
  int (*record)(Device *);
  void *(*recorded)(Device *);
  int (*replay)(Device *, void *work);
  void (*forget)(Device *, void *work);

  /* Gradients of leaves may be finished all together, when a walk back through the tape ends (walking: one is under way):
   * settle finishes the one in this block, if it is among those that are put off, or, NULL, all. 1, or 0 with a message.
   * NULL: none is ever put off. */
  int (*settle)(Device *, const void *block);
  bool walking;

  unsigned long recording; /* the number of the first storage that is made meanwhile; 0: it does not record */

  char deferred[512]; /* a refusal that nobody has heard yet; "": none */
};

Device *device_cpu(void);
/* By name: "cpu", "guard", "cuda", "cuda:1"; NULL with a message when there is none. Those beside the CPU begin
 * to exist when they are asked for. Where CUDA is built in and no GPU is at hand, "cuda" is the CPU, and
 * device_notice() says so, once; "" otherwise. */
Device *device_find(const char *name);
const char *device_notice(void);
/* Whether GPUs may round float32 to TF32 before they multiply it (cuDNN's convolutions). */
extern bool device_tf32;
/* The i-th GPU that was asked for, from 0; NULL beyond the last. */
Device *device_opened(int i);
/* The guard, once it was asked for. */
Device *device_guarded(void);

/* What a kernel found wrong with the values it read, where nobody waits for it: the next wait says so. The first
 * one counts. */
void device_defer(Device *, const char *message);
/* What wait says in the end: 1, or 0 with the message that was deferred, which is then forgotten. */
int device_heard(Device *);

/* ---- devices of a shared object ---- */

/* How the library of a device computes one problem: by the offer-th of its own suggestions. */
typedef struct DeviceChoice {
  const long *key; /* the problem, in the module's own numbers */
  int keys;
  long offer, engine;    /* engine: the library's number for it; offer -1: by steps one by one instead */
  double seconds, usual; /* as measured, and of the first suggestion or the steps; 0: not measured here */
  const char *text; /* the plan as the library writes it, so that it need not be made again; NULL: none */
} DeviceChoice;

typedef struct DeviceTuning {
  void (*measure)(bool on); /* while it is on, problems that are met are measured */
  /* see(to, choice) for every problem that was measured or chosen for, until it returns 0. */
  int (*each)(int (*see)(void *to, const DeviceChoice *), void *to);
  int (*choose)(const DeviceChoice *); /* from now on, as far as the library takes it; 0 with a message */
  const char *(*label)(void); /* what choices hold for: device and library; NULL: there is no library */
} DeviceTuning;

typedef struct DeviceModule {
  int count;                       /* how many devices there are */
  const char *why;                 /* … and why there is none */
  const char *software;            /* "CUDA 13.0, driver for 13.0" */
  const char *(*label)(int index); /* "NVIDIA H200, 150.8 GB, compute capability 9.0"; until the next call */
  size_t (*bytes)(int index);      /* of its memory; like the label without opening it */
  const long *launches;            /* kernels that were started so far */
  Device *(*open)(int index);      /* of 0 .. count-1, always the same one; NULL with a message */
  const void *(*kernel)(int op, Dtype compute); /* a Kernel (ops/op.h) of op number `op`; NULL: none */
  const void *motion;                           /* MotionKernels (motion/kernels.h) */
  void (*range)(const char *name);              /* see device_range */
  const DeviceTuning *tuning;
} DeviceModule;

/* What is done until the same call with NULL has this name in a profiler's picture; they nest. NULL: no device is
 * open whose profiler could listen. */
extern void (*device_range)(const char *name);
static inline void device_begin(const char *name) {
  if (device_range) device_range(name);
}
static inline void device_end(void) {
  if (device_range) device_range(NULL);
}

/* Opens the shared object of this kind at the first call; NULL where there is none: the message is why. */
const DeviceModule *device_module(DeviceKind);
/* Of a shared object that is open already; NULL: none is. */
const DeviceTuning *device_tuning(void);
/* Kernels that were started so far, on devices of shared objects that are open. */
long device_launches(void);

/* Whether copies of so many bytes are sent. */
bool device_sends(const Device *to, const Device *from, size_t bytes);
/* Copies between any two devices; waits for the source's work when it comes to the host. */
int device_copy(Device *to, void *p, Device *from, const void *q, size_t bytes);

/* ---- the CPU's work, for devices that share it ---- */
int host_fill(void *to, const void *unit, size_t bytes, long n);
int host_accumulate(Dtype, void *to, const void *from, long n);
int host_cast(Dtype from_dtype, const void *from, Dtype to_dtype, void *to, long n);

/* The guard's struct; its first use reserves address space. NULL with a message. */
Device *device_guard(void);

#pragma GCC visibility pop

#endif
