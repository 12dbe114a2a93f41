/* Loops that time is spent in. They stand in bodies_*.h, written in terms of `real`: isa_ops.c compiles them
 * for float once per instruction set, the float64 build takes them as they are. A header declares with
 * HOT_DECLARE and defines with HOT_DEFINE under `#ifdef HOT_BODIES`; an op calls HOT(f)(...). */
#ifndef OPS_HOT_H
#define OPS_HOT_H

#include "backend/isa.h"
#include "ops/real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined ISA_BUILD
#define HOT_BODIES
#define HOT(f) ISA_NAME(f)
#define HOT_DECLARE(type, f, ...) type ISA_NAME(f)(__VA_ARGS__)
#define HOT_DEFINE(type, f, ...) type ISA_NAME(f)(__VA_ARGS__)
#elif defined REAL_IS_DOUBLE
#define HOT_BODIES
#define HOT(f) f
#define HOT_DECLARE(type, f, ...) static type f(__VA_ARGS__)
#define HOT_DEFINE(type, f, ...) static type f(__VA_ARGS__)
#else
#define HOT(f) ISA_PICK(f)
#define HOT_DECLARE(type, f, ...) ISA_DECLARE(type, f, __VA_ARGS__)
#endif

#endif
