/* FNV-1a with 128 bits: see digest.h. */
#include "io/digest.h"

#include <stdio.h>

void digest(const void *data, size_t size, char out[33]) {
  typedef unsigned __int128 Wide;
  const Wide prime = ((Wide)1 << 88) + 0x13B;
  Wide hash = (Wide)0x6C62272E07BB0142 << 64 | 0x62B821756295C58D;
  for (size_t i = 0; i < size; i++) hash = (hash ^ ((const unsigned char *)data)[i]) * prime;
  snprintf(out, 33, "%016llx%016llx", (unsigned long long)(hash >> 64), (unsigned long long)hash);
}
