/* What the ops with batch norm in them share (ops/norm.h): what a call keeps for its backward pass, and the gradients
 * of weight and bias. */
#ifndef CUDA_NORM_KIT_H
#define CUDA_NORM_KIT_H

#include "cuda/op_kit.h"

#include "cuda/kernels/norm.h"
#include "ops/norm.h"

/* The input's rows, in so many images. */
static inline Rows norm_rows_of(const Call *c, long images) {
  const Tensor *x = c->in[INPUT];
  long channels = x->shape[x->rank - 1];
  return rows_cut(images, x->size / channels / images, channels, c->dtype);
}

/* saved[KEPT_…], sets x channels each: mean and inverse, scale and shift; a's places for them. 0 with a message. */
static inline int norm_keep(Call *c, long sets, long channels, NormStatistics *a) {
  Tensor *kept = call_save_new(c, KEPT_STATISTICS, F32, 3, SHAPE(2, sets, channels)),
         *line = kept ? call_save_new(c, KEPT_LINE, F32, 3, SHAPE(2, sets, channels)) : NULL;
  a->mean = line ? tensor_write(kept) : NULL;
  a->scale = a->mean ? tensor_write(line) : NULL;
  if (!a->scale) return 0;
  a->inverse = a->mean + sets * channels;
  a->shift = a->scale + sets * channels;
  return 1;
}

/* The same for batch norm, filled; in training the running statistics move. Unless pooled is NULL the input is looked at
 * in any case: means and pooled as of NormStatistics. */
int cuda_norm_prepare(Call *c, Rows n, float *means, float *pooled);

/* The output's mask (kernels/norm.h) to be saved as saved[kept] where it can have one, else *mask is NULL. y: where the
 * output is. 0 with a message. */
static inline int norm_mask_keep(Call *c, int kept, const Rows *n, const void *residual, const void *y,
                                 unsigned char **mask) {
  *mask = NULL;
  if (!c->training || !norm_may_mask(n, c->dtype, input(c, INPUT), residual, y)) return 1;
  Tensor *t = call_save_new(c, kept, U8, 1, SHAPE((long)tensor_bytes(c->out[0]) / 16));
  return t && (*mask = tensor_write(t));
}

/* What stands in saved[kept] for an activation, if anything: the mask, or what was given. */
static inline void norm_mask_find(const Call *c, int kept, NormBack *b) {
  const Tensor *t = c->saved[kept];
  if (t && t->dtype == U8)
    b->mask = tensor_data(t);
  else if (t)
    b->given = saved(c, kept);
}

/* Where the gradients of weight and bias go, as far as they are wanted. */
int cuda_norm_weights(Call *c, NormLines *to);

#endif
