/* Weights of float32 that are multiplied with halves, rounded for all calls until they change: on a GPU many at once,
 * where each call would otherwise round its own. Results are the same with and without; on the CPU, where nothing is
 * multiplied with halves, there is nothing to do. Returns nothing. */
#include "ops/op_kit.h"

enum { WEIGHTS };

static int round_weights_shape(Call *c) { return want_real(c, WEIGHTS); }
static int round_weights_forward(Call *c) { return (void)c, 1; }
static void round_weights_numbers(const Call *c, float *numbers) { (void)c, (void)numbers; }

static int round_weights_sample(Call *c, Random *r, int variant) {
  static const long sizes[] = {5, 0, 300};
  return variant > 2 ? -1 : sample_input(c, WEIGHTS, r, 1, &sizes[variant]);
}

DESCRIPTOR op_round_weights = {.name = "round_weights",
                               .args = "weights to:bfloat16|float16=bfloat16",
                               .doc =
                                   "keeps weights as halves beside them until they change; returns nothing",
                               .shape = round_weights_shape,
                               .sample = round_weights_sample,
                               .numbers = round_weights_numbers,
                               .full = 1 << WEIGHTS};
const Kernel REALNAME(cpu_round_weights) = {.forward = round_weights_forward};
