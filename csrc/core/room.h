/* What the system lets this process have: memory that the machine and its control groups can still give, and
 * address space under `ulimit -v` or `-d`. Asked anew by each call, from /proc and /sys; takes nothing. */
#ifndef CORE_ROOM_H
#define CORE_ROOM_H

#include <stddef.h>

/* Bytes that can still be used before the machine or a control group of this process (either version, nested
 * ones too) runs out and kills. What files fill counts as free: it goes first. */
size_t room_memory(void);

/* Bytes that can still be mapped before the kernel refuses; SIZE_MAX without a limit. */
size_t room_address(void);

/* Of room_address(), what tensors may take: buffers of OpenBLAS, stacks and heaps of `threads` threads keep
 * theirs, since a library whose mapping fails may not say so but spin. SIZE_MAX without a limit. */
size_t room_for_tensors(int threads);

#endif
