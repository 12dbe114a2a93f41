/* The three-way contrastive loss at one pixel after the other, from its logits. */
#ifndef OPS_BODIES_CONTRAST_H
#define OPS_BODIES_CONTRAST_H

#include "ops/bodies_math.h"
#include "ops/hot.h"

enum { CLASSES = 3 };

/* One pixel's logits a, b, c (very negative: class absent) become the gradient of its loss by them, which is
 * weight (log(sum exp l + eps) - log(exp l_own + eps)); label: 1 .. 3, or 0: the loss is 0. w0 … w2: what a pixel
 * of each class counts. */
BODY real contrast_at(real label, real w0, real w1, real w2, real log_eps, real *l0, real *l1, real *l2) {
  real a = *l0, b = *l1, c = *l2;
  int is0 = label == 1, is1 = label == 2, is2 = label == 3;
  real w = is0 ? w0 : is1 ? w1 : is2 ? w2 : 0, own = is0 ? a : is1 ? b : c;
  real top = a > b ? a : b;
  top = top > c ? top : c;
  top = top > log_eps ? top : log_eps;
  real ea = EXP(a - top), eb = EXP(b - top), ec = EXP(c - top), sum = ea + eb + ec + EXP(log_eps - top);
  real peak = own > log_eps ? own : log_eps; /* the own class has its own scale: both terms may be tiny */
  real e = EXP(own - peak), mine = e + EXP(log_eps - peak), pull = e / mine;
  *l0 = w * (ea / sum - (is0 ? pull : 0));
  *l1 = w * (eb / sum - (is1 ? pull : 0));
  *l2 = w * (ec / sum - (is2 ? pull : 0));
  return w * ((top + LOG(sum)) - (peak + LOG(mine)));
}

#ifndef ON_CUDA
/* l[c][i] and label[i] of n pixels; weight[c]: what a pixel of class c counts. */
HOT_DECLARE(void, contrast, long n, const real *label, const real *weight, real log_eps, real *l0, real *l1,
            real *l2, real *loss);

#ifdef HOT_BODIES
HOT_DEFINE(void, contrast, long n, const real *restrict label, const real *restrict weight, real log_eps,
           real *restrict l0, real *restrict l1, real *restrict l2, real *restrict loss) {
  real w0 = weight[0], w1 = weight[1], w2 = weight[2];
  for (long i = 0; i < n; i++) loss[i] = contrast_at(label[i], w0, w1, w2, log_eps, l0 + i, l1 + i, l2 + i);
}
#endif
#endif

#endif
