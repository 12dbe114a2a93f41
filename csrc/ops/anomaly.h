/* Looking for the op that makes a NaN, while somebody asks for it: every output of forward and every gradient that
 * backward makes is read. On a device each look is a copy to the host. */
#ifndef OPS_ANOMALY_H
#define OPS_ANOMALY_H

#include "core/graph.h"
#include "ops/engine.h"

extern bool detecting_anomaly;

/* After forward: 0 with a message that names the op and where its NaN stands, or the input that brought it. */
int anomaly_in_outputs(const OpInfo *info, const Call *c);
/* After backward of node n, which is of call c. */
int anomaly_in_gradients(const Call *c, const Node *n);

#endif
