/* Which kernel computes an op: by the kind of device and the dtype that is computed in. */
#ifndef OPS_KERNELS_H
#define OPS_KERNELS_H

#include "ops/op.h"

/* The kernel of op number `op` (its place in ops/table.h); NULL without a message when there is none. */
const Kernel *op_kernel(int op, DeviceKind kind, Dtype compute);

#endif
