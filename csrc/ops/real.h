/* The two builds of csrc/ops: `real` is float or double, and every public symbol gets the build's suffix. What
 * an op means (DESCRIPTOR) stands once, in the float build, and goes by c->dtype where it must know; its samples
 * are float. What computes it on the CPU (Kernel) comes from both. */
#ifndef OPS_REAL_H
#define OPS_REAL_H

#ifdef REAL_IS_DOUBLE
typedef double real;
#define DESCRIPTOR __attribute__((unused)) static const Op
#define REALNAME(name) name##_f64
#define RM(f) f /* math function: RM(exp) is exp or expf */
#else
typedef float real;
#define DESCRIPTOR const Op
#define REALNAME(name) name##_f32
#define RM(name) name##f
#endif

#endif
