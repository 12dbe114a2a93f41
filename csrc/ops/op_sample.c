/* Random arguments for the generated tests that central differences can be taken at. */
#include "ops/op_kit.h"

int REALNAME(sample_smooth)(Call *c, int i, Random *r, int rank, const long *shape, double scale) {
  static const double kinks[] = {-0.5, 0, 0.75, 1, 6}; /* of clamp's sample, relu, relu6 and others */
  if (!sample_input(c, i, r, rank, shape)) return 0;
  real *x = tensor_write(c->in[i]);
  for (long k = 0; x && k < c->in[i]->size; k++) {
    double v = scale * (double)x[k];
    for (size_t j = 0; j < sizeof kinks / sizeof *kinks; j++)
      if (fabs(v - kinks[j]) < 0.05) v = kinks[j] + (v < kinks[j] ? -0.05 : 0.05);
    x[k] = (real)v;
  }
  return x != NULL;
}
