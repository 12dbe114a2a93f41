/* responsibility_loss (ops/op_responsibility_loss.c). */
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

/* Every hand's view of its image. */
static Rows rows_of(const Responsibility *j) { return rows_cut(j->hands, j->h * j->w, j->c); }

static int loss_forward(Call *c) {
  Responsibility j = loss_of(c);
  Rows n = rows_of(&j);
  float *y = output(c, 0);
  if (c->training) {
    Tensor *kept = call_save_new(c, SLOPE, F32, 2, SHAPE(j.hands, n.rows));
    if (!kept || !(j.slope = tensor_write(kept))) return 0;
  }
  j.r = input(c, R);
  Tensor *kept = call_save_new(c, WEIGHT, F32, 1, SHAPE(j.hands));
  j.weight = kept ? tensor_write(kept) : NULL;
  float *partial = call_scratch(c, (size_t)(2 * j.hands * n.parts) * sizeof *partial);
  return y && j.weight && partial && cuda_refusals(c, REFUSED, &j.refusals) &&
         responsibility_on(stream_of(c), n, &j, partial, y);
}

static int loss_backward(Call *c) {
  Responsibility j = loss_of(c);
  Rows n = rows_of(&j);
  const float *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  j.slope = (float *)saved(c, SLOPE); /* from here on only read */
  j.weight = (float *)saved(c, WEIGHT);
  j.refusals.call = (int32_t *)tensor_data(c->saved[REFUSED]);
  if (c->needs_grad[K]) {
    float *dk = call_grad(c, K, &add);
    if (!dk || !responsibility_k_on(stream_of(c), &j, dy, dk, add)) return 0;
  }
  if (!c->needs_grad[Q]) return 1;
  float *dq = call_grad(c, Q, &add);
  float *partial = dq ? call_scratch(c, (size_t)rows_sums(&n, 1) * sizeof *partial) : NULL;
  return partial && (add || c->device->fill(c->device, dq, NULL, 1, (long)tensor_bytes(c->in[Q]))) &&
         responsibility_q_on(stream_of(c), n, &j, dy, partial, dq);
}

const Kernel cuda_responsibility_loss = {.forward = loss_forward, .backward = loss_backward};
