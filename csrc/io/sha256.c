/* SHA-256: see sha256.h. Names are those of FIPS 180-4, section 6.2. */
#include "io/sha256.h"

#include "io/file.h"

#include <stdio.h>
#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turned(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void take_block(uint32_t state[8], const unsigned char *block) {
  uint32_t w[64], v[8];
  for (int t = 0; t < 16; t++)
    w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
           block[4 * t + 3];
  for (int t = 16; t < 64; t++) {
    uint32_t a = w[t - 15], b = w[t - 2];
    w[t] = w[t - 16] + (turned(a, 7) ^ turned(a, 18) ^ a >> 3) + w[t - 7] +
           (turned(b, 17) ^ turned(b, 19) ^ b >> 10);
  }
  memcpy(v, state, sizeof v);
  for (int t = 0; t < 64; t++) {
    uint32_t a = v[0], e = v[4];
    uint32_t t1 =
        v[7] + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + K[t] + w[t];
    uint32_t t2 = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof *v);
    v[0] = t1 + t2;
    v[4] += t1;
  }
  for (int i = 0; i < 8; i++) state[i] += v[i];
}

void sha256_begin(Sha256 *s) {
  *s = (Sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                          0x5be0cd19}};
}

void sha256_add(Sha256 *s, const void *data, size_t size) {
  const unsigned char *at = data;
  while (size > 0) {
    size_t filled = s->bytes % 64, n = 64 - filled < size ? 64 - filled : size;
    memcpy(s->block + filled, at, n);
    s->bytes += n;
    at += n;
    size -= n;
    if (s->bytes % 64 == 0) take_block(s->state, s->block);
  }
}

void sha256_end(Sha256 *s, char out[SHA256_TEXT]) {
  static const unsigned char padding[64] = {0x80};
  uint64_t bits = __builtin_bswap64(8 * s->bytes);
  sha256_add(s, padding, 64 - (s->bytes + 8) % 64);
  sha256_add(s, &bits, 8);
  for (int i = 0; i < 8; i++) snprintf(out + 8 * i, 9, "%08x", s->state[i]);
}

int sha256_file(const char *path, char out[SHA256_TEXT]) {
  Source source;
  Sha256 s;
  unsigned char piece[1 << 14];
  if (!source_open(&source, path)) return 0;
  int ok = 1;
  sha256_begin(&s);
  for (size_t at = 0; ok && at < source.size; at += sizeof piece) {
    size_t n = source.size - at < sizeof piece ? source.size - at : sizeof piece;
    ok = source_read(&source, at, piece, n);
    if (ok) sha256_add(&s, piece, n);
  }
  source_close(&source);
  if (ok) sha256_end(&s, out);
  return ok;
}
