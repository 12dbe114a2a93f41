/* 1 x 1 convolutions with bfloat16 weights: see conv_bf16.c. */
#ifndef BACKEND_CONV_BF16_H
#define BACKEND_CONV_BF16_H

#include "backend/conv_parts.h"

/* Whether this CPU multiplies pairs of bfloat16 faster than float32; found out by measuring, once. */
bool bf16_is_fast(void);
Method conv_bf16(void);

#endif
