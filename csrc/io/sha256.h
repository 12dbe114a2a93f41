/* SHA-256 (FIPS 180-4): to tell whether a file that came from elsewhere is the one that is meant. */
#ifndef IO_SHA256_H
#define IO_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_TEXT = 65 }; /* 64 hexadecimal digits, terminated */

typedef struct Sha256 {
  uint32_t state[8];
  uint64_t bytes;
  unsigned char block[64]; /* the bytes that do not fill a block yet */
} Sha256;

void sha256_begin(Sha256 *s);
void sha256_add(Sha256 *s, const void *data, size_t size);
void sha256_end(Sha256 *s, char out[SHA256_TEXT]);

/* Of a file; 0 with a message when it cannot be read. */
int sha256_file(const char *path, char out[SHA256_TEXT]);

#endif
