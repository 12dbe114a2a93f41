/* A pass of ops on a device, recorded once and then run as one piece of work:
 *
 *   capture_begin(inputs, like) ── ops on capture_input(…) … ── capture_take(outputs) ── capture_end
 *                                                   capture_run(inputs) → outputs, often
 *
 * Nothing is computed while it is recorded, and nothing may be read on the host. Inputs are copied to tensors of the
 * capture's own, and outputs from such; all else that the pass reads or writes lies where it lay then: who owns it sees
 * to that. */
#ifndef OPS_CAPTURE_H
#define OPS_CAPTURE_H

#include "core/tensor.h"

enum { CAPTURE_TENSORS = 24 };

typedef struct Capture Capture;

/* Whether the device can record, and nobody has forbidden it (COHESIV_GRAPHS=off). */
bool capture_possible(const Device *d);

/* like: outputs of the same pass as they were, for their shapes. All on one device. NULL with a message. */
Capture *capture_begin(Tensor *const *inputs, int nin, Tensor *const *like, int nout);
/* What stands for input i meanwhile: borrowed. */
Tensor *capture_input(const Capture *c, int i);
/* The pass's outputs, which the caller then releases, as all else that it made. */
int capture_take(Capture *c, Tensor *const *outputs, int nout);
/* Ends recording. 0 with a message; either way capture_free follows in the end. */
int capture_end(Capture *c);
void capture_free(Capture *c); /* NULL is allowed; ends recording, too */

int capture_outputs(const Capture *c);
/* On success outputs[0 …] are the caller's. */
int capture_run(Capture *c, Tensor *const *inputs, int nin, Tensor **outputs);

#endif
