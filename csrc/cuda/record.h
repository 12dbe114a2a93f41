/* Work of a device that is kept instead of done: CUDA graphs, by capture of the device's stream. */
#ifndef CUDA_RECORD_H
#define CUDA_RECORD_H

#include "cuda/cuda.h"

/* Device.record, recorded, replay, forget. */
int cuda_record(Device *d);
void *cuda_recorded(Device *d);
int cuda_replay(Device *d, void *work);
void cuda_forget(Device *d, void *work);

/* How many there are, one that is going on among them. */
long cuda_recordings(void);

/* A block was taken while recording: 1, or 0 with a message. */
int cuda_record_takes(Device *d, void *block);
/* Whether the block of so many bytes that is given back is not to be freed now: one from outside of the recording that is going on may
 * be read by what is recorded, and one of a recording that failed never was. */
bool cuda_record_keeps(Device *d, void *block, size_t bytes);

/* Recordings hold so many bytes more of what was given back (device.c). */
void cuda_record_holds(Device *d, long bytes);

#endif
