/* What cuDNN computes for us as operation graphs: convolutions of channels-last images (backend/conv_shape.h), forward
 * with what may follow in inference or in training and both gradients, and batch norm in training with what follows it,
 * forward and backward. A plan is the first of cuDNN's own suggestions that the device can run.
 *
 *   Problem ──> graph (graph_build.h) ──heuristics──> configurations ──finalize──> Plan ──> plan_run, often
 *
 * Nothing here knows a device of ours, and to plan, none need be there: its properties do. */
#ifndef CUDA_GRAPH_H
#define CUDA_GRAPH_H

#include "backend/conv_shape.h"
#include "core/dtype.h"

#include <stddef.h>

/* CONV_STATISTICS: forward, and meanwhile the sums that batch norm takes from its result; nothing else follows.
 * NORM_FORWARD: y = act(norm(x) + residual), with the statistics of x, and y's mask where there is a residual and an
 * activation. NORM_BACKWARD: from dy those of x, weight and bias, and of the residual; the activation's slope is in the
 * mask where there was a residual, otherwise the norm is computed again. act: none or ReLU. */
typedef enum Pass { CONV_FORWARD, CONV_DATA, CONV_WEIGHT, CONV_STATISTICS, NORM_FORWARD, NORM_BACKWARD } Pass;

/* The tensors of a convolution; in a gradient's graph X, W or Y is the gradient of what it is otherwise. */
enum {
  CONV_X,
  CONV_W,
  CONV_Y,
  CONV_SCALE,
  CONV_SHIFT,
  CONV_RESIDUAL,
  CONV_SUMS,    /* of y's channels, */
  CONV_SQUARES, /* and of their squares: float32 */
  CONV_TENSORS
};

/* Those of a norm. All that is one number for each channel is float32. */
enum {
  NORM_X,
  NORM_Y,
  NORM_RESIDUAL,
  NORM_MASK, /* a bit for each number of y (kernels/norm.h) */
  NORM_WEIGHT,
  NORM_BIAS,
  NORM_MEAN,
  NORM_INVERSE, /* 1 / sqrt(var + eps) */
  NORM_EPS,     /* a float of the host's */
  NORM_ZERO,    /* likewise, 0 */
  NORM_DY,
  NORM_DX,
  NORM_DR, /* of the residual */
  NORM_DWEIGHT,
  NORM_DBIAS,
  NORM_TENSORS
};

enum { PLAN_TENSORS = NORM_TENSORS };

typedef struct Problem {
  Pass pass;
  ConvShape
      shape; /* weights see its channels alone. A norm's: of a 1x1 convolution from its map to one like it */
  Dtype dtype;  /* of images, weights and results, float32 or halves; sums are float32 */
  bool tf32;    /* float32 may be rounded to TF32 before it is multiplied */
  bool compile; /* an engine that is compiled first will do: up to seconds */
  bool add;     /* what is computed is added to what is there */
  bool scale, shift,
      residual; /* forward's epilogue: scale and shift are float32, the residual as the result */
  Activation act;
} Problem;

/* How many numbers its weights have. */
static inline long conv_weights(const ConvShape *s) { return s->co * s->kh * s->kw * (s->ci / s->groups); }

typedef struct Plan {
  size_t workspace; /* bytes of device memory that a run needs */
  long offer;       /* which one of cuDNN's suggestions it is */
  long engine;      /* cuDNN's number for the pass */
  bool compiled, tensor_cores;
} Plan;

/* A plan for the device of a cudnnHandle_t, or, without one, for a device of these properties (cuDNN's JSON text). NULL
 * with a message; short memory (failed_for_memory) is one thing, a problem that cuDNN does not solve another. */
Plan *plan_new(const Problem *p, void *handle, const char *properties);
/* The first one from this offer on. */
Plan *plan_from(const Problem *p, void *handle, const char *properties, long offer);
/* A plan as text, to be freed, and a plan of the handle's device from it; its numbers beside the workspace are 0. NULL with
 * a message. */
char *plan_text(const Plan *plan);
Plan *plan_read(const Problem *p, void *handle, const char *text);
void plan_free(Plan *plan); /* NULL is allowed */

/* Runs it on the handle's stream. data: PLAN_TENSORS places, on a boundary of 16 bytes, NULL for what the problem does
 * not have. 1, or 0 with a message. */
int plan_run(const Plan *plan, void *handle, const void *const *data, void *workspace);

#endif
