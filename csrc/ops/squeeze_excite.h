/* The gate of squeeze and excitation (Hu, Shen, Sun, CVPR 2018): sigmoid(w2 act(w1 pooled + b1) + b2), a
 * number for every image and channel. */
#ifndef OPS_SQUEEZE_EXCITE_H
#define OPS_SQUEEZE_EXCITE_H

#include "ops/op_kit.h"

typedef struct SqueezeExcite {
  long images, channels, squeezed;
  bool silu;                     /* act; otherwise ReLU */
  const real *w1, *b1, *w2, *b2; /* {squeezed, channels}, {channels, squeezed} */
  real *pooled, *gate;           /* images x channels; pooled is given */
  real *before, *hidden;         /* images x squeezed: act's argument and value */
} SqueezeExcite;

/* Numbers that pooled, gate, before and hidden take, in one piece of memory; and that piece dealt out. */
static inline long squeeze_excite_numbers(const SqueezeExcite *e) {
  return 2 * e->images * (e->channels + e->squeezed);
}
static inline void squeeze_excite_place(SqueezeExcite *e, real *memory) {
  e->pooled = memory;
  e->gate = e->pooled + e->images * e->channels;
  e->before = e->gate + e->images * e->channels;
  e->hidden = e->before + e->images * e->squeezed;
}

int REALNAME(squeeze_excite_forward)(SqueezeExcite *e);

/* d: images x channels: the gradient of gate comes in, that of pooled goes out. first: the place of w1 among
 * the call's inputs, b1, w2, b2 behind it; their gradients are written or added where wanted. */
int REALNAME(squeeze_excite_backward)(Call *c, const SqueezeExcite *e, int first, real *d);

#endif
