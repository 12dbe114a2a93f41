/* The most that one thread computes with this instruction set: multiplications and additions in registers
 * alone, in chains that do not wait for each other. What other speeds are shares of. */
#include "backend/isa_peak.h"

#include <time.h>

#define UNROLL _Pragma("GCC unroll 16")

/* Two units of latency 4 or 5 are busy with 10 chains; 16 registers hold 12 and both operands. */
enum { CHAINS = 12, STEPS = 1 << 16, ROUNDS = 31 };

/* Of this thread alone: others may use the core. */
static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double ISA_NAME(peak_flops)(void) {
  volatile float factor = 0.999f, summand = 1e-3f, sink; /* sums stay near 1 */
  double took[ROUNDS];
  for (int round = 0; round < ROUNDS; round++) {
    vf x = vset(factor), y = vset(summand), sum[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) sum[i] = x * (float)(i + 1);
    double start = seconds();
    for (int k = 0; k < STEPS; k++) { UNROLL for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * x + y; }
    UNROLL for (int i = 1; i < CHAINS; i++) sum[0] += sum[i];
    sink = sum[0][0];
    double t = seconds() - start;
    int i = round; /* in order: the median counts, since a virtual CPU's clock may jump either way */
    for (; i > 0 && took[i - 1] > t; i--) took[i] = took[i - 1];
    took[i] = t;
  }
  (void)sink;
  return 2.0 * LANES * CHAINS * STEPS / took[ROUNDS / 2];
}
