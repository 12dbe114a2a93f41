/* attention on the GPU (ops/op_attention.c): products of all queries with all keys at once.
 * In float32 alone: a score that rounds to 1 is not beyond the limit. */
#include "cuda/op_kit.h"

#include "cuda/op_matmul.h"

static int attention_forward(Call *c) {
  const Tensor *q = c->in[0], *k = c->in[1];
  Product p = {
      .batch = 1, .m = q->shape[0], .n = extent(k->shape, 0, k->rank - 1), .k = q->shape[1], .tb = true};
  float *y = output(c, 0);
  ProductData d = {input(c, 0), input(c, 1), y, F32, F32, F32};
  return y && product_on(stream_of(c), &p, 1, d, false, true) && (!c->training || call_save(c, 0, c->out[0]));
}

static int attention_backward(Call *c) {
  const Tensor *q = c->in[0], *k = c->in[1];
  long queries = q->shape[0], channels = q->shape[1], pixels = extent(k->shape, 0, k->rank - 1);
  bool add;
  if (!c->grad_out[0]) return 1;
  float *g = call_scratch(c, tensor_bytes(c->grad_out[0]));
  if (!g || !limited_backward_on(stream_of(c), queries * pixels, saved(c, 0), grad_out(c, 0), g)) return 0;
  if (c->needs_grad[0]) {
    Product p = {.batch = 1, .m = queries, .n = channels, .k = pixels};
    float *dq = call_grad(c, 0, &add);
    if (!dq || !cuda_product(c, &p, g, input(c, 1), dq, add, false)) return 0;
  }
  if (c->needs_grad[1]) {
    Product p = {.batch = 1, .m = pixels, .n = channels, .k = queries, .ta = true};
    float *dk = call_grad(c, 1, &add);
    if (!dk || !cuda_product(c, &p, g, input(c, 0), dk, add, false)) return 0;
  }
  return 1;
}

const Kernel cuda_attention = {.forward = attention_forward, .backward = attention_backward};
