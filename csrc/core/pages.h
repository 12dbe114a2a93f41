/* One arena for large blocks: address space that is reserved once, made readable as far as it is needed, with
 * huge pages. A block that is given back joins its free neighbours, so that what one shape of work leaves
 * fits any other: a step needs hardly more than it holds at its fullest moment. The smallest free range that
 * is large enough is taken (best fit), at its lowest address.
 *
 *   | block |  free  | block | block |   free (tail)   |  reserved, not readable ...
 *
 * Not locked: memory.c is the only user. */
#ifndef CORE_PAGES_H
#define CORE_PAGES_H

#include <stddef.h>

/* What a block of that many bytes occupies: whole pages. */
size_t pages_size(size_t bytes);
/* A block that starts at a page, contents undefined; NULL when the system has no more. */
void *pages_take(size_t bytes);
/* Gives a block of pages_take back, with the same `bytes`. Cannot fail. */
void pages_give(void *block, size_t bytes);
/* Bytes of free ranges that the system may still hold pages for. */
size_t pages_warm(void);
/* Gives those pages back to the system. */
void pages_trim(void);

#endif
