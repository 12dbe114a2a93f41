/* The loops of pointwise.def's rows: a table of functions per instruction set (float32) or for float64.
 * Operand steps sa, sb are 1 or 0 (one value for the whole range). Backward fills or adds. */
#ifndef OPS_BODIES_POINTWISE_H
#define OPS_BODIES_POINTWISE_H

#include "ops/hot.h"
#include "ops/pointwise_rows.h"

typedef void (*BinaryBackward)(long n, const real *restrict A, int sa, const real *restrict B, int sb,
                               const real *restrict Y, const real *restrict DY, real *restrict G, bool add);

typedef struct PointwiseLoops {
  struct {
    void (*forward)(long n, const real *restrict X, real *restrict Y, real p, real q);
    void (*backward)(long n, const real *restrict X, const real *restrict Y, const real *restrict DY,
                     real *restrict G, bool add, real p, real q);
  } unary[UNARIES];
  struct {
    void (*forward)(long n, const real *restrict A, int sa, const real *restrict B, int sb, real *restrict Y);
    BinaryBackward backward[2]; /* of a, of b */
  } binary[BINARIES];
  void (*compare[COMPARES])(long n, const real *restrict A, int sa, const real *restrict B, int sb,
                            uint8_t *restrict Y);
} PointwiseLoops;

typedef const PointwiseLoops *LoopTable;
HOT_DECLARE(LoopTable, pointwise_loops, void);

#ifdef HOT_BODIES
#include "ops/bodies_math.h"

#define EACH_I for (long i = 0; i < n; i++)
/* The three ways to step through two operands, each its own loop. */
#define EACH_PAIR(...)                                                                                       \
  if (sa && sb) EACH_I {                                                                                     \
      real a = A[i], b = B[i];                                                                               \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  else if (sa) {                                                                                             \
    real b = *B;                                                                                             \
    EACH_I {                                                                                                 \
      real a = A[i];                                                                                         \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  } else {                                                                                                   \
    real a = *A;                                                                                             \
    EACH_I {                                                                                                 \
      real b = B[i * sb];                                                                                    \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  }

/* What backward does at every x: a question inside would keep the compiler from using vectors. */
#define EACH_X(...)                                                                                          \
  EACH_I {                                                                                                   \
    real x = X[i], y = Y[i], dy = DY[i];                                                                     \
    (void)x, (void)y;                                                                                        \
    __VA_ARGS__                                                                                              \
  }
#define UNARY(name, keep, domain, doc, f, dx) BOUNDED(name, keep, "", 0, 0, doc, f, dx)
#define BOUNDED(name, keep, args, absent_p, absent_q, doc, f, dx)                                            \
  static void name##_forward(long n, const real *restrict X, real *restrict Y, real p, real q) {             \
    (void)p, (void)q;                                                                                        \
    EACH_I {                                                                                                 \
      real x = X[i];                                                                                         \
      Y[i] = f;                                                                                              \
    }                                                                                                        \
  }                                                                                                          \
  static void name##_backward(long n, const real *restrict X, const real *restrict Y,                        \
                              const real *restrict DY, real *restrict G, bool add, real p, real q) {         \
    (void)p, (void)q;                                                                                        \
    if (add)                                                                                                 \
      EACH_X(G[i] += (dx);)                                                                                  \
    else                                                                                                     \
      EACH_X(G[i] = (dx);)                                                                                   \
  }
#define BINARY_BACKWARD(name, g)                                                                             \
  static void name(long n, const real *restrict A, int sa, const real *restrict B, int sb,                   \
                   const real *restrict Y, const real *restrict DY, real *restrict G, bool add) {            \
    EACH_PAIR({                                                                                              \
      real y = Y[i], dy = DY[i];                                                                             \
      (void)a, (void)b, (void)y;                                                                             \
      G[i] = (add ? G[i] : 0) + (g);                                                                         \
    })                                                                                                       \
  }
#define BINARY(name, keep, domain, doc, f, da, db)                                                           \
  static void name##_forward(long n, const real *restrict A, int sa, const real *restrict B, int sb,         \
                             real *restrict Y){EACH_PAIR({ Y[i] = f; })} BINARY_BACKWARD(name##_da, da)      \
      BINARY_BACKWARD(name##_db, db)
#define COMPARE(name, doc, f)                                                                                \
  static void name##_forward(long n, const real *restrict A, int sa, const real *restrict B, int sb,         \
                             uint8_t *restrict Y) {                                                          \
    EACH_PAIR({ Y[i] = f; })                                                                                 \
  }
#include "ops/pointwise.def"
#undef UNARY
#undef BOUNDED
#undef BINARY
#undef COMPARE

HOT_DEFINE(LoopTable, pointwise_loops, void) {
#define BOUNDED(name, ...) UNARY(name)
#define UNARY(name, ...) .unary[UNARY_##name] = {name##_forward, name##_backward},
#define BINARY(name, ...) .binary[BINARY_##name] = {name##_forward, {name##_da, name##_db}},
#define COMPARE(name, ...) .compare[COMPARE_##name] = name##_forward,
  static const PointwiseLoops loops = {
#include "ops/pointwise.def"
  };
#undef UNARY
#undef BOUNDED
#undef BINARY
#undef COMPARE
  return &loops;
}
#endif

#endif
