/* The gradients of a convolution whose output's gradient is zero but at few pixels: what a loss that looks at
 * query points alone sends back. Cost goes with those pixels, not with the image. */
#ifndef OPS_CONV_SPARSE_H
#define OPS_CONV_SPARSE_H

#include "backend/conv.h"
#include "ops/op.h"
#include "ops/real.h"

typedef struct SparsePixels {
  long n, *at; /* numbers of the pixels among all images', ascending; the call's scratch memory */
} SparsePixels;

/* Lists the pixels of dy that are not zero. *few: whether they are so few that the functions below pay; if
 * not, nothing is listed. 0 with a message when memory is short. */
int REALNAME(sparse_find)(Call *c, const ConvShape *s, const real *dy, SparsePixels *p, bool *few);

/* As conv_backward_data and conv_backward_weight. */
int REALNAME(sparse_backward_data)(const ConvShape *s, const SparsePixels *p, const real *dy,
                                   const real *weight, real *dx, bool add);
int REALNAME(sparse_backward_weight)(const ConvShape *s, const SparsePixels *p, const real *x, const real *dy,
                                     real *dw, bool add);

#endif
