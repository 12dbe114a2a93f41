/* gru_reset and gru_update (ops/op_gru.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/gru.h"
#include "ops/gru_sizes.h"

static Gru gru_of(const Call *c) { return (Gru){gru_rows(c), gru_channels(c), gru_depth(c)}; }

static int reset_forward(Call *c) {
  float *y = output(c, 0);
  return y && gru_reset_on(stream_of(c), gru_of(c), input(c, GATES), input(c, STATE), y);
}

static int update_forward(Call *c) {
  float *y = output(c, 0);
  return y &&
         gru_update_on(stream_of(c), gru_of(c), input(c, GATES), input(c, CANDIDATE), input(c, STATE), y);
}

/* The gradients that are wanted. */
static int gradients(Call *c, GruGrad *g) {
  for (int i = 0; i < c->nin; i++)
    if (c->needs_grad[i] && !(g[i].to = call_grad(c, i, &g[i].add))) return 0;
  return 1;
}

static int reset_backward(Call *c) {
  GruGrad g[CANDIDATE + 1] = {{NULL, false}};
  const float *dy = grad_out(c, 0);
  if (!dy) return 1;
  return gradients(c, g) &&
         gru_reset_back_on(stream_of(c), gru_of(c), input(c, GATES), input(c, STATE), dy, g[GATES], g[STATE]);
}

static int update_backward(Call *c) {
  GruGrad g[CANDIDATE + 1] = {{NULL, false}};
  const float *dy = grad_out(c, 0);
  if (!dy) return 1;
  return gradients(c, g) && gru_update_back_on(stream_of(c), gru_of(c), input(c, GATES), input(c, CANDIDATE),
                                               input(c, STATE), dy, g[GATES], g[CANDIDATE], g[STATE]);
}

const Kernel cuda_gru_reset = {.forward = reset_forward, .backward = reset_backward};
const Kernel cuda_gru_update = {.forward = update_forward, .backward = update_backward};
