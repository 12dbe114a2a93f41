/* The two builds of csrc/ops: `real` is float or double, and every public symbol gets the build's suffix. */
#ifndef OPS_REAL_H
#define OPS_REAL_H

#ifdef REAL_IS_DOUBLE
typedef double real;
#define REAL_DTYPE F64
#define REALNAME(name) name##_f64
#define RM(f) f /* math function: RM(exp) is exp or expf */
#else
typedef float real;
#define REAL_DTYPE F32
#define REALNAME(name) name##_f32
#define RM(name) name##f
#endif

#endif
