/* conv2d and conv2d_act on the GPU (ops/op_conv.c). Gradients that are zero at most pixels are multiplied like others:
 * to know them the host would have to wait. cuDNN convolves where it has a plan that need not be compiled first, and what
 * follows is a pass of our own over its result, unless the whole in one graph was measured to be faster; where it has
 * none, our own kernels do both at once. What each takes is known from shapes alone. */
#include "cuda/op_kit.h"

#include "core/error.h"
#include "cuda/kernels/norm.h"
#include "cuda/op_conv.h"
#include "cuda/plans.h"
#include "cuda/rounded.h"
#include "cuda/statistics.h"
#include "cuda/widening.h"
#include "ops/conv_sizes.h"

#include <string.h>

static Problem problem_of(const Call *c, Pass pass, const ConvShape *s, bool add) {
  return (Problem){.pass = pass, .shape = *s, .dtype = c->dtype, .tf32 = device_tf32, .add = add};
}

int cuda_weights(Call *c, int i, ConvWeights *weights) {
  const Tensor *t = c->in[i];
  const Tensor *rounded = dtype_is_half(c->dtype) ? cuda_rounded(t, c->dtype) : NULL;
  if (rounded) {
    t = rounded;
  } else if (dtype_is_half(c->dtype) && t->dtype != c->dtype) {
    if (!c->saved[0] && !(c->saved[0] = tensor_cast(t, c->dtype))) return 0;
    t = c->saved[0];
  }
  *weights = (ConvWeights){tensor_data(t), t->dtype, c->compute == BF16 && c->dtype == F32};
  return 1;
}

/* Whether images and weights are multiplied as they are. */
static bool is_plain(const Call *c, const ConvWeights *w) { return w->dtype == c->dtype && !w->round; }

static bool follows(const Epilogue *e) {
  return e && (e->scale || e->shift || e->residual || e->act != ACT_NONE);
}

/* Scratch memory and counters for sums in parts, or none. */
typedef struct Room {
  float *scratch;
  unsigned *counters;
} Room;

static int find_room(Call *c, ConvRoom wanted, Room *r) {
  *r = (Room){NULL};
  return !wanted.floats || ((r->scratch = call_scratch(c, wanted.floats * sizeof(float))) &&
                            (r->counters = cuda_counters(c, wanted.counters)));
}

static int own_kernel(Call *c, bool data, const ConvShape *s, const void *from, ConvWeights weight,
                      const Epilogue *e, void *to, bool add) {
  Room r;
  int ok = find_room(c, conv_room(data, s), &r) &&
           (data ? conv_data_on : conv_forward_on)(stream_of(c), s, c->dtype, from, weight, e, to, add,
                                                   r.scratch, r.counters);
  call_drop(c, r.scratch);
  return ok;
}

/* A convolution, or one's gradient of images, and what follows it. */
typedef struct Work {
  Problem p; /* of the convolution alone */
  const void *data[PLAN_TENSORS];
  const Epilogue *e;
} Work;

/* By cuDNN's plan for the convolution alone, if there is one, and the pass behind it. */
static int run_steps(Call *c, const Work *j, bool *done) {
  const ConvShape *s = &j->p.shape;
  bool forward = j->p.pass == CONV_FORWARD;
  long pixels = s->n * (forward ? s->ho * s->wo : s->h * s->w), channels = forward ? s->co : s->ci;
  void *y = (void *)j->data[forward ? CONV_Y : CONV_X];
  if (!cuda_planned(c, &j->p, j->data, done)) return 0;
  if (!*done || !follows(j->e)) return 1;
  return norm_apply_on(stream_of(c), rows_cut(1, pixels, channels, c->dtype), c->dtype, y, j->e->scale,
                       j->e->shift, channels, j->e->residual, j->e->act, y, NULL);
}

static int run_steps_apart(Call *c, void *of) {
  bool done;
  return run_steps(c, of, &done) && (done || fail("cuDNN: no engine for the convolution alone"));
}

/* All in one graph of cuDNN, where that was measured to be faster than the steps. */
static int run_whole(Call *c, Work *j, bool *done) {
  Problem p = j->p;
  const void *data[PLAN_TENSORS];
  *done = false;
  if (!follows(j->e) || p.add || p.pass != CONV_FORWARD || !cuda_may_plan(c, &j->p)) return 1;
  memcpy(data, j->data, sizeof data);
  data[CONV_SCALE] = j->e->scale, p.scale = j->e->scale != NULL;
  data[CONV_SHIFT] = j->e->shift, p.shift = j->e->shift != NULL;
  data[CONV_RESIDUAL] = j->e->residual, p.residual = j->e->residual != NULL;
  p.act = j->e->act;
  return cuda_planned_beside(c, &p, data, (Apart){run_steps_apart, j}, done);
}

int cuda_conv_forward(Call *c, const ConvShape *s, const void *x, ConvWeights weight, const Epilogue *e,
                      void *y, bool add) {
  Work j = {problem_of(c, CONV_FORWARD, s, add), {x, weight.data, y}, e};
  bool done = false;
  if (is_plain(c, &weight) && (!run_whole(c, &j, &done) || (!done && !run_steps(c, &j, &done)))) return 0;
  return done || own_kernel(c, false, s, x, weight, e, y, add);
}

int cuda_conv_data(Call *c, const ConvShape *s, const void *dy, ConvWeights weight, const Epilogue *e,
                   void *dx, bool add) {
  Work j = {problem_of(c, CONV_DATA, s, add), {dx, weight.data, dy}, e};
  bool done = false;
  if (is_plain(c, &weight) && !run_steps(c, &j, &done)) return 0;
  return done || own_kernel(c, true, s, dy, weight, e, dx, add);
}

/* ---- conv2d ---- */

/* A convolution, and then the pass over its result that batch norm takes. */
typedef struct Steps {
  ConvShape shape;
  const void *x;
  ConvWeights weight;
  void *y;
} Steps;

static int run_apart(Call *c, void *of) {
  const Steps *j = of;
  const ConvShape *s = &j->shape;
  return cuda_conv_forward(c, s, j->x, j->weight, NULL, j->y, false) &&
         cuda_sums_look(c, s->n * s->ho * s->wo, s->co, j->y);
}

/* Forward with the sums that batch norm will ask for, where cuDNN has a plan for that. */
static int with_statistics(Call *c, Steps *j, bool *done) {
  Problem p = problem_of(c, CONV_STATISTICS, &j->shape, false);
  *done = false;
  if (!is_plain(c, &j->weight) || !cuda_may_plan(c, &p)) return 1;
  Tensor *room = cuda_sums_new(c->out[0]);
  if (!room) return 0;
  ChannelSums to = cuda_sums_at(room);
  const void *data[PLAN_TENSORS] = {j->x, j->weight.data,
                                    j->y, [CONV_SUMS] = to.sums, [CONV_SQUARES] = to.squares};
  int ok = cuda_planned_beside(c, &p, data, (Apart){run_apart, j}, done);
  if (*done) return cuda_sums_keep(c->out[0], room);
  tensor_release(room);
  return ok;
}

static int conv2d_forward(Call *c) {
  Steps j = {.x = input(c, 0)};
  float *y = j.y = output(c, 0);
  Epilogue e = {.shift = input(c, 2)};
  bool done = false;
  if (!y || !conv_sizes(c, &j.shape) || !cuda_weights(c, 1, &j.weight)) return 0;
  if (c->arg[STATISTICS].n != 0 && !e.shift && !with_statistics(c, &j, &done)) return 0;
  return done || cuda_conv_forward(c, &j.shape, j.x, j.weight, &e, y, false);
}

/* The gradient of weights by cuDNN, which gives it in the dtype of what it multiplies alone: of halves, summed in float32.
 * *half: NULL where it has no plan, or nothing is half. 0 with a message. */
static int half_weight(Call *c, const ConvShape *s, const void *x, const void *dy, Tensor **half) {
  Problem p = problem_of(c, CONV_WEIGHT, s, false);
  bool done = false;
  *half = NULL;
  if (!dtype_is_half(c->dtype) || !cuda_may_plan(c, &p)) return 1;
  Tensor *t = tensor_on(c->device, c->dtype, 1, SHAPE(conv_weights(s)));
  const void *data[PLAN_TENSORS] = {x, t ? tensor_data(t) : NULL, dy};
  int ok = t && cuda_planned(c, &p, data, &done);
  if (done)
    *half = t;
  else
    tensor_release(t);
  return ok;
}

/* In float32. */
static int whole_weight(Call *c, const ConvShape *s, const void *x, const void *dy, float *dw, bool add) {
  Problem p = problem_of(c, CONV_WEIGHT, s, add);
  const void *data[PLAN_TENSORS] = {x, dw, dy};
  bool done = false;
  if (c->dtype == F32 && !cuda_planned(c, &p, data, &done)) return 0;
  if (done) return 1;
  Room r;
  int ok = find_room(c, conv_weight_room(s, x, dy), &r) &&
           conv_weight_on(stream_of(c), s, c->dtype, x, dy, dw, add, r.scratch, r.counters);
  call_drop(c, r.scratch);
  return ok;
}

Tensor *cuda_conv_weight_new(Call *c, const ConvShape *s, const void *x, const void *dy) {
  Tensor *t;
  if (!half_weight(c, s, x, dy, &t)) return NULL;
  if (t) return t;
  t = tensor_on(c->device, F32, 1, SHAPE(conv_weights(s)));
  if (t && whole_weight(c, s, x, dy, (float *)tensor_data(t), false)) return t;
  tensor_release(t);
  return NULL;
}

static int conv2d_weight(Call *c, const ConvShape *s, const float *dy) {
  bool add;
  Tensor *half;
  float *dw = call_grad(c, 1, &add);
  if (!dw || !half_weight(c, s, input(c, 0), dy, &half)) return 0;
  return half ? cuda_widen(c, 1, half, dw, add) : whole_weight(c, s, input(c, 0), dy, dw, add);
}

static int conv2d_backward(Call *c) {
  ConvShape s;
  const float *dy = grad_out(c, 0);
  bool add;
  if (!dy) return 1;
  int ok = conv_sizes(c, &s);
  if (ok && c->needs_grad[0]) {
    float *dx = call_grad(c, 0, &add);
    ConvWeights w;
    ok = dx && cuda_weights(c, 1, &w) && cuda_conv_data(c, &s, dy, w, NULL, dx, add);
  }
  if (ok && c->needs_grad[1]) ok = conv2d_weight(c, &s, dy);
  if (ok && c->needs_grad[2]) {
    float *db = call_grad(c, 2, &add);
    ok = db && cuda_sum_middle(c, c->dtype, dy, 1, s.n * s.ho * s.wo, s.co, 1, F32, db, add);
  }
  return ok;
}

/* ---- conv2d_act ---- */
static int conv2d_act_forward(Call *c) {
  ConvShape s;
  float *y = output(c, 0);
  Epilogue e = {input(c, 2), input(c, 3), input(c, 4), (Activation)c->arg[ACT].list[0]};
  ConvWeights w;
  return y && conv_sizes(c, &s) && cuda_weights(c, 1, &w) &&
         cuda_conv_forward(c, &s, input(c, 0), w, &e, y, false);
}

const Kernel cuda_conv2d = {.forward = conv2d_forward, .backward = conv2d_backward};
const Kernel cuda_conv2d_act = {.forward = conv2d_act_forward};
