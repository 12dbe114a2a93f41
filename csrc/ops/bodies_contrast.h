/* The three-way contrastive loss at one pixel after the other, from its logits. */
#ifndef OPS_BODIES_CONTRAST_H
#define OPS_BODIES_CONTRAST_H

#include "ops/hot.h"

enum { CLASSES = 3 };

/* l[c][i]: logits (very negative: class absent); label[i]: 1 .. 3, or 0; weight[c]: what a pixel of class c
 * counts. loss[i] = weight (log(sum exp l + eps) - log(exp l_own + eps)), 0 where the label is 0; l becomes
 * its gradient. */
HOT_DECLARE(void, contrast, long n, const real *label, const real *weight, real log_eps, real *l0, real *l1,
            real *l2, real *loss);

#ifdef HOT_BODIES
#include "ops/bodies_math.h"

HOT_DEFINE(void, contrast, long n, const real *restrict label, const real *restrict weight, real log_eps,
           real *restrict l0, real *restrict l1, real *restrict l2, real *restrict loss) {
  real w0 = weight[0], w1 = weight[1], w2 = weight[2];
  for (long i = 0; i < n; i++) {
    real a = l0[i], b = l1[i], c = l2[i];
    int is0 = label[i] == 1, is1 = label[i] == 2, is2 = label[i] == 3;
    real w = is0 ? w0 : is1 ? w1 : is2 ? w2 : 0, own = is0 ? a : is1 ? b : c;
    real top = a > b ? a : b;
    top = top > c ? top : c;
    top = top > log_eps ? top : log_eps;
    real ea = EXP(a - top), eb = EXP(b - top), ec = EXP(c - top), sum = ea + eb + ec + EXP(log_eps - top);
    real peak = own > log_eps ? own : log_eps; /* the own class has its own scale: both terms may be tiny */
    real e = EXP(own - peak), mine = e + EXP(log_eps - peak), pull = e / mine;
    loss[i] = w * ((top + LOG(sum)) - (peak + LOG(mine)));
    l0[i] = w * (ea / sum - (is0 ? pull : 0));
    l1[i] = w * (eb / sum - (is1 ? pull : 0));
    l2[i] = w * (ec / sum - (is2 ? pull : 0));
  }
}
#endif

#endif
