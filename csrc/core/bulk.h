/* memcpy and memset of much memory, in parallel pieces: one core alone does not reach the memory's speed. 0
 * only when interrupted. */
#ifndef CORE_BULK_H
#define CORE_BULK_H

#include <stddef.h>

int bulk_copy(void *to, const void *from, size_t bytes);
int bulk_clear(void *to, size_t bytes);

#endif
