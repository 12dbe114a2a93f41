/* Loops that time is spent in. They stand in bodies_*.h, written in terms of `real`: isa_ops.c compiles them
 * for float once per instruction set, the float64 build takes them as they are, CUDA takes what is BODY. A
 * header declares with HOT_DECLARE and defines with HOT_DEFINE under `#ifdef HOT_BODIES`; an op calls
 * HOT(f)(...). HOT_KERNEL and HOT_EACH are KERNEL and EACH of backend/each.h compiled in that way. */
#ifndef OPS_HOT_H
#define OPS_HOT_H

#include "backend/each.h"
#include "ops/real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef ON_CUDA
#define restrict __restrict__
#define HOT_KERNEL(name) KERNEL(name)
#else
#include "backend/isa.h"

#if defined ISA_BUILD
#define HOT_BODIES
#define HOT(f) ISA_NAME(f)
#define HOT_DECLARE(type, f, ...) type ISA_NAME(f)(__VA_ARGS__)
#define HOT_DEFINE(type, f, ...) type ISA_NAME(f)(__VA_ARGS__)
#elif defined REAL_IS_DOUBLE
#define HOT_BODIES
#define HOT(f) f
#define HOT_DECLARE(type, f, ...) __attribute__((unused)) static type f(__VA_ARGS__)
#define HOT_DEFINE(type, f, ...) static type f(__VA_ARGS__)
#else
#define HOT(f) ISA_PICK(f)
#define HOT_DECLARE(type, f, ...) ISA_DECLARE(type, f, __VA_ARGS__)
#endif

#define HOT_CALL(f, ...) HOT(f)(__VA_ARGS__)

#ifdef HOT_BODIES
#define HOT_KERNEL(name)                                                                                     \
  HOT_DECLARE(void, name##_range, const void *args, long begin, long end);                                   \
  HOT_DEFINE(void, name##_range, const void *args, long begin, long end) {                                   \
    for (long i = begin; i < end; i++) name##_body((const struct name##_args *)args, i);                     \
  }
#else
#define HOT_KERNEL(name) HOT_DECLARE(void, name##_range, const void *args, long begin, long end);
#endif
#define HOT_EACH(name, n, grain, ...)                                                                        \
  each_run((n), (grain), HOT(name##_range), &(struct name##_args){__VA_ARGS__})
#endif

#endif
