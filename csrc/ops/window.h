/* Windows that move over images, as convolutions, pooling and unfold have them: stride, dilation and padding
 * of each axis from a call's arguments, and how many windows there are. Index 0 is the height, 1 the width,
 * as in the arguments:
 *
 *   stride, dilation: n | {height, width}     padding: n | {height, width} | {top, bottom, left, right} | "same"
 *
 * "same" is TensorFlow's: ceil(size / stride) windows, an odd zero on the right or below. */
#ifndef OPS_WINDOW_H
#define OPS_WINDOW_H

#include "ops/op_kit.h"

enum { WINDOW_MAX = 1 << 12 }; /* of all of these: beyond any image's use */

typedef struct Window {
  long size[2], kernel[2], stride[2], dilation[2], before[2], after[2], count[2];
} Window;

/* Rows or columns from a window's first place to behind its last. */
static inline long window_reach(const Window *w, int axis_) {
  return (w->kernel[axis_] - 1) * w->dilation[axis_] + 1;
}

/* One number, or two, each low .. WINDOW_MAX; 0 with a message. */
static inline int window_pair(const Call *c, int arg, const char *name, long low, long *pair) {
  const Arg *a = &c->arg[arg];
  if (a->count != 1 && a->count != 2)
    return call_fail(c, "%s: expected a number or {height, width}, found %d numbers", name, a->count);
  for (int i = 0; i < 2; i++) {
    pair[i] = a->list[i % a->count];
    if (pair[i] < low || pair[i] > WINDOW_MAX)
      return call_fail(c, "%s: expected %ld .. %d, found %ld", name, low, WINDOW_MAX, pair[i]);
  }
  return 1;
}

static inline int window_padding(const Call *c, int arg, Window *w) {
  const Arg *a = &c->arg[arg];
  if (a->name) {
    for (int i = 0; i < 2; i++) {
      long windows = (w->size[i] + w->stride[i] - 1) / w->stride[i];
      long all = windows ? (windows - 1) * w->stride[i] + window_reach(w, i) - w->size[i] : 0;
      w->before[i] = all > 0 ? all / 2 : 0;
      w->after[i] = all > 0 ? all - all / 2 : 0;
    }
    return 1;
  }
  if (a->count != 1 && a->count != 2 && a->count != 4)
    return call_fail(c,
                     "padding: expected a number, {height, width} or {top, bottom, left, right}, found %d "
                     "numbers",
                     a->count);
  for (int i = 0; i < a->count; i++)
    if (a->list[i] < 0 || a->list[i] > WINDOW_MAX)
      return call_fail(c, "padding: expected 0 .. %d, found %ld", WINDOW_MAX, a->list[i]);
  for (int i = 0; i < 2; i++) {
    w->before[i] = a->list[a->count == 4 ? 2 * i : i % a->count];
    w->after[i] = a->list[a->count == 4 ? 2 * i + 1 : i % a->count];
  }
  return 1;
}

/* Of images h x w and windows kh x kw by the arguments of these numbers (dilation < 0: there is none). 0 with
 * a message; one that does not fit leaves count below 1 and is for the caller to refuse. */
static inline int window_read(const Call *c, const long *size, const long *kernel, int stride, int padding,
                              int dilation, Window *w) {
  *w = (Window){.size = {size[0], size[1]}, .kernel = {kernel[0], kernel[1]}, .dilation = {1, 1}};
  if (!window_pair(c, stride, "stride", 1, w->stride) ||
      (dilation >= 0 && !window_pair(c, dilation, "dilation", 1, w->dilation)) ||
      !window_padding(c, padding, w))
    return 0;
  for (int i = 0; i < 2; i++) {
    long room = w->size[i] + w->before[i] + w->after[i] - window_reach(w, i);
    w->count[i] = w->kernel[i] < 1 || room < 0 ? 0 : room / w->stride[i] + 1;
  }
  return 1;
}

/* "1,1": the zeros before and behind an axis, for messages. */
#define WINDOW_PADDING(w) (w).before[0], (w).after[0], (w).before[1], (w).after[1]

#endif
