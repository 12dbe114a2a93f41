/* What a call cost, for co.profile: bytes, floating-point operations, the shape that names it. Bytes of a
 * call are those of the tensors it was given and of those it made; a view of an input moves none. */
#ifndef OPS_ACCOUNT_H
#define OPS_ACCOUNT_H

#include "ops/op.h"

/* Closes the event that profile_begin opened for a call; ok: whether it succeeded. */
void account_forward(long event, const Call *c, bool ok);
/* The same of n calls that were one. */
void account_each(long event, const Call *c, int n, bool ok);
void account_backward(long event, const Call *c, bool ok);

#endif
