/* Batch norm's calls as problems of cuDNN. */
#include "cuda/norm_plans.h"

#include "cuda/op_kit.h"
#include "ops/norm.h"

static Problem problem_of(const Call *c, Pass pass, bool residual, Activation act) {
  const Tensor *x = c->in[INPUT];
  long channels = x->shape[x->rank - 1];
  bool image = x->rank == 4;
  ConvShape s = {.n = image ? x->shape[0] : 1,
                 .h = image ? x->shape[1] : x->size / channels,
                 .w = image ? x->shape[2] : 1,
                 .ci = channels,
                 .co = channels,
                 .kh = 1,
                 .kw = 1,
                 .groups = 1,
                 .stride_h = 1,
                 .stride_w = 1,
                 .dilation_h = 1,
                 .dilation_w = 1};
  s.ho = s.h, s.wo = s.w;
  return (Problem){.pass = pass, .shape = s, .dtype = c->dtype, .residual = residual, .act = act};
}

/* What cuDNN can have follow, and with masks that are as ours: in float32 ours has 4 bits a byte. */
static bool fits(const Call *c, Activation act, bool mask) {
  return (act == ACT_NONE || act == ACT_RELU) && !(mask && c->dtype == F32);
}

/* Where ReLU has left no mask, the norm is computed again. */
static bool needs_bias(bool residual, Activation act) { return !residual && act == ACT_RELU; }

int cuda_norm_keep_bias(Call *c, int kept, bool residual, Activation act) {
  if (!fits(c, act, false) || !needs_bias(residual, act)) return 1;
  Problem p = problem_of(c, NORM_BACKWARD, residual, act);
  return !cuda_may_plan(c, &p) || call_save(c, kept, c->in[BIAS]);
}

int cuda_norm_planned(Call *c, const NormStatistics *a, const void *residual, Activation act, void *y,
                      unsigned char *mask, Apart own, bool *done) {
  static const _Alignas(16) float zero = 0;
  const _Alignas(16) float eps = (float)a->eps;
  *done = false;
  if (!fits(c, act, mask != NULL) || (residual && !mask)) return 1;
  Problem p = problem_of(c, NORM_FORWARD, residual != NULL, act);
  const void *data[PLAN_TENSORS] = {[NORM_X] = input(c, INPUT), [NORM_Y] = y,
                                    [NORM_RESIDUAL] = residual, [NORM_MASK] = mask,
                                    [NORM_WEIGHT] = a->weight,  [NORM_BIAS] = a->bias,
                                    [NORM_MEAN] = a->mean,      [NORM_INVERSE] = a->inverse,
                                    [NORM_EPS] = &eps,          [NORM_ZERO] = residual ? &zero : NULL};
  return cuda_planned_beside(c, &p, data, own, done) &&
         (!*done || norm_line_on(stream_of(c), p.shape.co, p.shape.n * p.shape.h * p.shape.w, a));
}

int cuda_norm_back_planned(Call *c, const NormBack *b, const NormLines *to, int kept, Apart own, bool *done) {
  bool residual = b->mask != NULL, alone = b->dx_add || to->weight_add || to->bias_add || b->dr_add;
  *done = false;
  if (!fits(c, b->act, residual) || alone || !b->dx || !to->dweight || !to->dbias || b->given ||
      residual != (b->dr != NULL) || (needs_bias(residual, b->act) && !c->saved[kept]))
    return 1;
  Problem p = problem_of(c, NORM_BACKWARD, residual, b->act);
  const void *data[PLAN_TENSORS] = {[NORM_X] = b->x,
                                    [NORM_DY] = b->dy,
                                    [NORM_MASK] = b->mask,
                                    [NORM_WEIGHT] = input(c, WEIGHT),
                                    [NORM_BIAS] = needs_bias(residual, b->act) ? saved(c, kept) : NULL,
                                    [NORM_MEAN] = b->mean,
                                    [NORM_INVERSE] = to->inverse,
                                    [NORM_DX] = b->dx,
                                    [NORM_DR] = b->dr,
                                    [NORM_DWEIGHT] = to->dweight,
                                    [NORM_DBIAS] = to->dbias};
  return cuda_planned_beside(c, &p, data, own, done);
}
