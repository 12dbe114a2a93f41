/* responsibility_loss (ops/op_responsibility_loss.c): a launch forward, which reads K, and one backward, which reads it again
 * and writes both gradients. */
#include "cuda/op_kit.h"
#include "cuda/refusals.h"

#include "cuda/kernels/responsibility.h"

enum { Q, K, R, QUERIES, IMAGE };
enum { SLOPE, WEIGHT, REFUSED }; /* saved */
enum { THROUGH };                /* parameter */

static Responsibility loss_of(const Call *c) {
  const long *s = c->in[Q]->shape;
  return (Responsibility){.images = s[0],
                          .h = s[1],
                          .w = s[2],
                          .c = s[3],
                          .hands = c->in[R]->shape[0],
                          .q = input(c, Q),
                          .dtype = c->dtype,
                          .k = input(c, K),
                          .queries = input(c, QUERIES),
                          .image = c->nin > IMAGE ? input(c, IMAGE) : NULL,
                          .through = c->arg[THROUGH].n != 0};
}

static int loss_forward(Call *c) {
  Responsibility j = loss_of(c);
  Rows n = rows_cut(j.hands, j.h * j.w, j.c, j.dtype); /* every hand's view of its image */
  float *y = output(c, 0);
  if (c->training) {
    Tensor *kept = call_save_new(c, SLOPE, F32, 2, SHAPE(j.hands, n.rows));
    if (!kept || !(j.slope = tensor_write(kept))) return 0;
  }
  j.r = input(c, R);
  Tensor *kept = call_save_new(c, WEIGHT, F32, 1, SHAPE(j.hands));
  j.weight = kept ? tensor_write(kept) : NULL;
  float *partial = call_scratch(c, (size_t)(2 * j.hands * n.parts) * sizeof *partial);
  unsigned *counter = partial ? cuda_counters(c, 1) : NULL;
  if (!y || !j.weight || !counter || !cuda_refusals(c, REFUSED, &j.refusals)) return 0;
  if (!j.hands) return c->device->fill(c->device, y, NULL, sizeof *y, 1);
  return responsibility_on(stream_of(c), n, &j, partial, counter, y);
}

static int loss_backward(Call *c) {
  Responsibility j = loss_of(c);
  Rows n = rows_cut(j.images, j.h * j.w, j.c, j.dtype);
  const float *dy = grad_out(c, 0);
  bool dk_add = false, dq_add = false;
  void *dk = NULL, *dq = NULL;
  if (!dy) return 1;
  j.slope = (float *)saved(c, SLOPE); /* from here on only read */
  j.weight = (float *)saved(c, WEIGHT);
  j.refusals.call = (int32_t *)tensor_data(c->saved[REFUSED]);
  if ((c->needs_grad[K] && !(dk = call_grad(c, K, &dk_add))) ||
      (c->needs_grad[Q] && !(dq = call_grad(c, Q, &dq_add))))
    return 0;
  unsigned *counters = cuda_counters(c, rows_counters(&n));
  float *partial = counters ? call_scratch(c, (size_t)(j.hands * n.parts * j.c) * sizeof *partial) : NULL;
  return partial &&
         responsibility_back_on(stream_of(c), n, &j, dy, dk, dk_add, dq, dq_add, partial, counters);
}

const Kernel cuda_responsibility_loss = {.forward = loss_forward, .backward = loss_backward};
