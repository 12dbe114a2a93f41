/* The windows of avg_pool2d and unfold, for every device. */
#ifndef OPS_WINDOW_SIZES_H
#define OPS_WINDOW_SIZES_H

#include "ops/window.h"

#include "ops/bodies_window.h"

enum { AVERAGE, UNFOLD };                    /* forms */
enum { KERNEL_SIZE, STRIDE, PADDING, LAST }; /* LAST: count_include_pad; dilation */

/* The call's windows, everything checked; 0 with a message. */
static inline int frame_of(const Call *c, Frame *f) {
  const Tensor *x = c->in[0];
  Window w;
  long kernel[2];
  if (!want_real(c, 0) || !call_want_rank(c, 0, 4) || !window_pair(c, KERNEL_SIZE, "kernel", 1, kernel) ||
      !window_read(c, x->shape + 1, kernel, STRIDE, PADDING, c->op->form == UNFOLD ? LAST : -1, &w))
    return 0;
  if (w.count[0] < 1 || w.count[1] < 1)
    return call_fail(c,
                     "kernel: expected one that fits the padded image, found %ldx%ld on %s with padding "
                     "{%ld, %ld, %ld, %ld}",
                     kernel[0], kernel[1], tensor_text(x), WINDOW_PADDING(w));
  *f = (Frame){.c = x->shape[3], .pad_counts = c->op->form == AVERAGE && c->arg[LAST].n != 0};
  for (int i = 0; i < 2; i++) {
    if (c->op->form == AVERAGE && (w.before[i] > kernel[i] / 2 || w.after[i] > kernel[i] / 2))
      return call_fail(c, "padding: expected at most half the kernel, %ld, found %ld", kernel[i] / 2,
                       w.before[i] > w.after[i] ? w.before[i] : w.after[i]);
    f->size[i] = w.size[i], f->kernel[i] = kernel[i], f->stride[i] = w.stride[i];
    f->dilation[i] = w.dilation[i], f->before[i] = w.before[i], f->count[i] = w.count[i];
  }
  return 1;
}

static inline long inputs_of(const Call *c, const Frame *f) {
  return c->in[0]->shape[0] * f->size[0] * f->size[1];
}
static inline long windows_of(const Call *c, const Frame *f) {
  return c->in[0]->shape[0] * f->count[0] * f->count[1];
}

#endif
