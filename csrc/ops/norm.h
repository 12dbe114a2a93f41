/* What the ops with batch norm in them share: rows of channels cut into chunks, statistics, and gradients
 * that follow from sums. Such an op's inputs begin with these, its parameters are these. */
#ifndef OPS_NORM_H
#define OPS_NORM_H

#include "ops/op_kit.h"

#include "ops/bodies_norm.h"

enum { INPUT, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR, NORM_IN };
enum { TRAINING, MOMENTUM, EPS, ACT };
enum { KEPT_STATISTICS, KEPT_LINE, NORM_SAVED }; /* mean, 1 / sqrt(var + eps): F64; scale, shift: real */

/* Chunks do not cross images. Where images do not matter, all is one. */
typedef struct NormRows {
  long images, rows, channels; /* rows of an image */
  long block, blocks;          /* rows per chunk, chunks per image */
} NormRows;

static inline long norm_chunks(const NormRows *n) { return n->images * n->blocks; }
static inline long norm_image(const NormRows *n, long chunk) { return chunk / n->blocks; }
/* A chunk's first row and how many it has. */
static inline long norm_first(const NormRows *n, long chunk) {
  return norm_image(n, chunk) * n->rows + chunk % n->blocks * n->block;
}
static inline long norm_count(const NormRows *n, long chunk) {
  return least(n->block, n->rows - chunk % n->blocks * n->block);
}

/* The input's rows, in so many images. */
NormRows REALNAME(norm_rows)(const Call *c, long images);

/* dtypes and shapes of the inputs up to NORM_IN; 0 with a message. */
int REALNAME(norm_check)(const Call *c);

/* Whether the running statistics move (Op.mutating). */
bool REALNAME(norm_training)(const Call *c);

/* Makes saved[KEPT_…]: what this call normalises with; in training moves the running statistics. image_mean:
 * images x channels, filled with the means of the input's images, or NULL. */
int REALNAME(norm_prepare)(Call *c, const NormRows *n, double *image_mean);

/* Mean and sum of squared differences of every channel of every image; images x channels each. */
int REALNAME(norm_image_moments)(Call *c, const NormRows *n, double *mean, double *squares);

/* The gradients of bias and weight from the sums of dz and dz (x - mean) over all rows; each of
 * length channels. */
int REALNAME(norm_weight_grads)(Call *c, const double *sums);

/* What the statistics add to dx = scale dz + slope (x - mean) + offset, from the same sums; nothing where
 * they are the running ones. line: mean, slope, offset, each of length channels. */
void REALNAME(norm_line_back)(const Call *c, const NormRows *n, const double *sums, real *line);

/* Inputs up to NORM_IN and the parameters of the statistics, for the generated tests. */
int REALNAME(norm_sample_inputs)(Call *c, Random *r, int variant, bool training, int rank, const long *shape);

#endif
