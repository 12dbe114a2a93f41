/* Kinds of numbers that tensors hold. */
#ifndef CORE_DTYPE_H
#define CORE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum Dtype { F32, F64, U8, I32, I64, BF16, F16, DTYPES } Dtype;

#pragma GCC visibility push(default) /* for the shared objects of devices */
extern const size_t dtype_bytes[DTYPES];
extern const char
    *const dtype_name[DTYPES]; /* "float32", "float64", "uint8", "int32", "int64", "bfloat16", "float16" */
#pragma GCC visibility pop
static inline bool dtype_is_real(Dtype d) { return d == F32 || d == F64; }
static inline bool dtype_is_half(Dtype d) { return d == BF16 || d == F16; }

#endif
