/* Philox4x32-10, and the usual distributions on top of it. */
#include "core/random.h"

#include <math.h>
#include <string.h>

void random_block(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  uint32_t x0 = (uint32_t)counter, x1 = (uint32_t)(counter >> 32), x2 = (uint32_t)stream,
           x3 = (uint32_t)(stream >> 32);
  for (int i = 0; i < 10; i++) {
    uint64_t p = (uint64_t)0xD2511F53u * x0, q = (uint64_t)0xCD9E8D57u * x2;
    x0 = (uint32_t)(q >> 32) ^ x1 ^ k0;
    x1 = (uint32_t)q;
    x2 = (uint32_t)(p >> 32) ^ x3 ^ k1;
    x3 = (uint32_t)p;
    k0 += 0x9E3779B9u; /* golden ratio and sqrt(3) - 1, the key schedule of the paper */
    k1 += 0xBB67AE85u;
  }
  out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}

void random_start(Random *r, uint64_t seed, uint64_t stream) {
  memset(r, 0, sizeof *r);
  r->seed = seed;
  r->stream = stream;
}

uint32_t random_u32(Random *r) {
  if (!r->left) {
    random_block(r->seed, r->stream, r->counter++, r->block);
    r->left = 4;
  }
  return r->block[4 - r->left--];
}

double random_uniform(Random *r) { return (random_u32(r) >> 8) * (1.0 / 16777216.0); }

double random_range(Random *r, double a, double b) { return a + (b - a) * random_uniform(r); }

double random_normal(Random *r) {
  if (r->has_spare) {
    r->has_spare = 0;
    return r->spare;
  }
  double u = ((random_u32(r) >> 8) + 1) * (1.0 / 16777216.0); /* (0, 1]: its logarithm is finite */
  double angle = 6.283185307179586 * random_uniform(r), radius = sqrt(-2 * log(u));
  r->spare = (float)(radius * sin(angle));
  r->has_spare = 1;
  return radius * cos(angle);
}

long random_below(Random *r, long n) {
  if (n <= 1) return 0;
  uint64_t word = (uint64_t)random_u32(r)
                  << 32; /* two statements: the order of the draws is part of the result */
  word |= random_u32(r);
  return (long)(((unsigned __int128)word * (uint64_t)n) >> 64);
}
