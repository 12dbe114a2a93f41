/* max, min, argmax (ops/op_minmax.c). */
#include "cuda/op_kit.h"

#include "cuda/kernels/minmax.h"
#include "ops/sum_sizes.h"

static int extreme(Call *c, bool smallest, void *y, int64_t *place) {
  SumSizes s = sum_sizes(c);
  Dtype dtype = c->in[0]->dtype;
  size_t bytes = minmax_scratch(dtype, s.outer, s.reduced, s.inner);
  void *scratch = bytes ? call_scratch(c, bytes) : NULL;
  return (scratch || !bytes) && minmax_on(stream_of(c), dtype, smallest, tensor_data(c->in[0]), s.outer,
                                          s.reduced, s.inner, y, place, scratch);
}

static int value_forward(Call *c, bool smallest) {
  bool all = !c->arg[0].given;
  void *y = tensor_write(c->out[0]);
  Tensor *places = all ? call_save_new(c, 0, I64, 0, NULL) : c->out[1];
  int64_t *place = places ? tensor_write(places) : NULL;
  return y && place && extreme(c, smallest, y, place) && (all || !c->training || call_save(c, 0, places));
}

static int max_forward(Call *c) { return value_forward(c, false); }
static int min_forward(Call *c) { return value_forward(c, true); }

static int argmax_forward(Call *c) {
  int64_t *place = tensor_write(c->out[0]);
  return place && extreme(c, false, NULL, place);
}

static int value_backward(Call *c) {
  const Tensor *dy = c->grad_out[0];
  SumSizes s = sum_sizes(c);
  Device *d = c->device;
  bool add;
  if (!dy) return 1;
  void *g = call_grad(c, 0, &add);
  return g && (add || d->fill(d, g, NULL, 1, (long)tensor_bytes(c->in[0]))) &&
         place_on(stream_of(c), dy->dtype == F64, tensor_data(dy), tensor_data(c->saved[0]), s.outer,
                  s.reduced, s.inner, g);
}

const Kernel cuda_max = {.forward = max_forward, .backward = value_backward};
const Kernel cuda_min = {.forward = min_forward, .backward = value_backward};
const Kernel cuda_argmax = {.forward = argmax_forward};
