/* Names for cache files: a 128-bit FNV-1a hash (Fowler, Noll, Vo; IETF draft-eastlake-fnv-17). Spreads well;
 * no protection against people who look for collisions, which packs survive by storing their key. */
#ifndef IO_DIGEST_H
#define IO_DIGEST_H

#include <stddef.h>

/* 32 hexadecimal digits, terminated. */
void digest(const void *data, size_t size, char out[33]);

#endif
