/* Plans: the ops of one pass, recorded while it ran, to be run again without the code that called them.
 *
 *   plan_begin(inputs) ── op_run … op_run (noted) ── plan_end(outputs) ──> plan_run(inputs) → outputs, often
 *
 * What follows from constants alone is computed once, while recording. A value is released after its last
 * use, so that what follows has its memory. Inputs must have the shapes and dtypes that were recorded;
 * constants are what they were then. Gradients are not recorded. Only ops are seen: what else was read from a
 * tensor (item, totable) is taken as fixed. */
#ifndef OPS_PLAN_H
#define OPS_PLAN_H

#include "ops/engine.h"

typedef struct Plan Plan;

/* Starts to note the ops of this thread. NULL with a message when one is being noted already. */
Plan *plan_begin(Tensor *const *inputs, int nin);
/* Stops noting; keeps what leads to the outputs. 0 with a message;
 * the plan is then good for plan_free only. */
int plan_end(Plan *p, Tensor *const *outputs, int nout);
/* Stops noting without a result. */
void plan_cancel(Plan *p);
void plan_free(Plan *p); /* NULL is allowed */

int plan_outputs(const Plan *p);
int plan_steps(const Plan *p);
/* Runs the ops; on success outputs[0 …] are the caller's. */
int plan_run(Plan *p, Tensor *const *inputs, int nin, Tensor **outputs);

#endif
