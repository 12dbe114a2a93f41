/* Random numbers by Philox4x32-10 (Salmon et al., SC 2011): counter-based, so that number i of a stream is a
 * pure function of (seed, stream, i), the same for any thread count and resumable from two integers. */
#ifndef CORE_RANDOM_H
#define CORE_RANDOM_H

#include <stdint.h>

typedef struct Random {
  uint64_t seed;    /* the key */
  uint64_t stream;  /* high half of the counter: one per independent use */
  uint64_t counter; /* how many blocks of four were drawn */
  uint32_t block[4];
  int left;    /* unused words of block */
  float spare; /* the second normal number of a pair */
  int has_spare;
} Random;

void random_start(Random *r, uint64_t seed, uint64_t stream);
/* Four words at a counter, without state. */
void random_block(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);
uint32_t random_u32(Random *r);
double random_uniform(Random *r); /* [0, 1), 24 bits */
double random_range(Random *r, double a, double b);
double random_normal(Random *r);      /* mean 0, variance 1 (Box-Muller) */
long random_below(Random *r, long n); /* 0 .. n-1 */

#endif
