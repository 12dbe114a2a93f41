/* prelu (ops/op_prelu.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/prelu.h"

enum { INPUT, WEIGHT };

static int prelu_forward(Call *c) {
  float *y = output(c, 0);
  return y && prelu_on(stream_of(c), c->in[INPUT]->size, c->in[WEIGHT]->size, c->dtype, input(c, INPUT),
                       input(c, WEIGHT), y);
}

static int prelu_backward(Call *c) {
  const float *dy = grad_out(c, 0);
  long n = c->in[INPUT]->size, channels = c->in[WEIGHT]->size;
  bool add = false, add_weight, weight = c->needs_grad[WEIGHT];
  if (!dy) return 1;
  float *dx = c->needs_grad[INPUT] ? call_grad(c, INPUT, &add) : NULL;
  float *slope = weight ? call_scratch(c, (size_t)n * sizeof *slope) : NULL;
  float *dw = slope ? call_grad(c, WEIGHT, &add_weight) : NULL;
  if ((c->needs_grad[INPUT] && !dx) || (weight && !dw)) return 0;
  return prelu_back_on(stream_of(c), n, channels, c->dtype, input(c, INPUT), input(c, WEIGHT), dy, dx, add,
                       slope) &&
         (!weight || cuda_sum_middle(c, F32, slope, 1, n / channels, channels, 1, F32, dw, add_weight));
}

const Kernel cuda_prelu = {.forward = prelu_forward, .backward = prelu_backward};
