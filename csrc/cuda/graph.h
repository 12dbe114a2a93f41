/* Convolutions of channels-last images (backend/conv_shape.h) as operation graphs of cuDNN: forward with what may follow
 * it, in inference or in training, and both gradients. A plan is the first of cuDNN's own suggestions that the device can run.
 *
 *   ConvProblem ──> graph ──heuristics──> configurations ──finalize──> ConvPlan ──> conv_plan_run, often
 *
 * Nothing here knows a device of ours, and to plan, none need be there: its properties do. */
#ifndef CUDA_GRAPH_H
#define CUDA_GRAPH_H

#include "backend/conv_shape.h"
#include "core/dtype.h"

#include <stddef.h>

/* CONV_STATISTICS: forward, and meanwhile the sums that batch norm takes from its result; nothing else follows. */
typedef enum ConvPass { CONV_FORWARD, CONV_DATA, CONV_WEIGHT, CONV_STATISTICS } ConvPass;

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

typedef struct ConvProblem {
  ConvPass pass;
  ConvShape shape; /* w_first and w_channels: 0 */
  Dtype dtype;     /* of images and weights, float32 or halves; sums are float32 */
  Dtype result;    /* of what is computed: the same, or float32 */
  bool tf32;       /* float32 may be rounded to TF32 before it is multiplied */
  bool compile;    /* an engine that is compiled first will do: up to seconds */
  bool add;        /* what is computed is added to what is there */
  bool scale, shift,
      residual; /* forward's epilogue: scale and shift are float32, the residual as the result */
  Activation act;
} ConvProblem;

typedef struct ConvPlan {
  size_t workspace; /* bytes of device memory that a run needs */
  long offer;       /* which one of cuDNN's suggestions it is */
  long engine;      /* cuDNN's number for the pass */
  bool compiled, tensor_cores;
} ConvPlan;

/* A plan for the device of a cudnnHandle_t, or, without one, for a device of these properties (cuDNN's JSON text). NULL
 * with a message; short memory (failed_for_memory) is one thing, a problem that cuDNN does not solve another. */
ConvPlan *conv_plan_new(const ConvProblem *p, void *handle, const char *properties);
/* The first one from this offer on. */
ConvPlan *conv_plan_from(const ConvProblem *p, void *handle, const char *properties, long offer);
/* A plan as text, to be freed, and a plan of the handle's device from it; its numbers beside the workspace are 0. NULL with
 * a message. */
char *conv_plan_text(const ConvPlan *plan);
ConvPlan *conv_plan_read(const ConvProblem *p, void *handle, const char *text);
void conv_plan_free(ConvPlan *plan); /* NULL is allowed */

/* Runs it on the handle's stream. data: CONV_TENSORS places, on a boundary of 16 bytes, NULL for what the problem does
 * not have. 1, or 0 with a message. */
int conv_plan_run(const ConvPlan *plan, void *handle, const void *const *data, void *workspace);

#endif
