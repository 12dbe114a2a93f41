/* What a call leaves on the tape: its operands, as far as backward reads them, and what forward saved for it.
 *
 * An operand that its own op can make again (batch norm's output: one pass over what is kept anyway) is not
 * kept but made again just before backward reads it, and released right after. */
#ifndef OPS_RECORD_H
#define OPS_RECORD_H

#include "ops/op.h"

/* Puts a node for the call on the tape; saved[] becomes the node's. 0 with a message. */
int record_call(Call *c);

#endif
