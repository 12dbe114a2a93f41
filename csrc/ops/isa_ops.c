/* The float32 loops of the ops, once per instruction set. What they compute stands in the bodies. */
#include "ops/bodies_pointwise.h"
#include "ops/bodies_sum.h"
#include "ops/bodies_norm.h"
#include "ops/bodies_pool.h"
#include "ops/bodies_upsample.h"
#include "ops/bodies_rows.h"
#include "ops/bodies_adamw.h"
#include "ops/bodies_contrast.h"
