/* The rows of pointwise.def by number, those of a kind from 0: UNARY_exp, BINARY_add, COMPARE_lt; and what the
 * second column of a row says. */
#ifndef OPS_POINTWISE_ROWS_H
#define OPS_POINTWISE_ROWS_H

enum { KEEP_NONE = 0, KEEP_X = 1, KEEP_A = 1, KEEP_B = 2, KEEP_Y = 4, PASS_A = 8, PASS_B = 16 };

#define BOUNDED(name, ...) UNARY(name)
#define UNARY(name, ...) UNARY_##name,
#define BINARY(name, ...)
#define COMPARE(name, ...)
enum {
#include "ops/pointwise.def"
  UNARIES
};
#undef UNARY
#undef BINARY
#define UNARY(name, ...)
#define BINARY(name, ...) BINARY_##name,
enum {
#include "ops/pointwise.def"
  BINARIES
};
#undef BINARY
#undef COMPARE
#define BINARY(name, ...)
#define COMPARE(name, ...) COMPARE_##name,
enum {
#include "ops/pointwise.def"
  COMPARES
};
#undef UNARY
#undef BOUNDED
#undef BINARY
#undef COMPARE

#endif
