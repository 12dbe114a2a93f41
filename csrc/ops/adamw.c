/* The update itself: bound by memory (read p g m v, write p m v), so one pass over everything. */
#include "ops/adamw.h"

#include "core/error.h"
#include "core/pool.h"

#include <math.h>

enum { GRAIN = 1 << 14 };

typedef struct Job {
  void *p, *m, *v;
  const void *g;
  long n;
  double keep, rate, beta1, beta2, correction, eps; /* see adamw_step */
} Job;

#define DEFINE(name, real, root)                                                                             \
  static int name(void *arg, long c) {                                                                       \
    const Job *j = arg;                                                                                      \
    long begin = c * GRAIN, end = begin + GRAIN < j->n ? begin + GRAIN : j->n;                               \
    real *restrict p = j->p, *restrict m = j->m, *restrict v = j->v;                                         \
    const real *restrict g = j->g;                                                                           \
    real keep = (real)j->keep, rate = (real)j->rate, b1 = (real)j->beta1, b2 = (real)j->beta2;               \
    real c1 = (real)(1 - j->beta1), c2 = (real)(1 - j->beta2), cv = (real)j->correction, eps = (real)j->eps; \
    for (long i = begin; i < end; i++) {                                                                     \
      m[i] = b1 * m[i] + c1 * g[i];                                                                          \
      v[i] = b2 * v[i] + c2 * g[i] * g[i];                                                                   \
      p[i] = keep * p[i] - rate * m[i] / (root(v[i]) * cv + eps);                                            \
    }                                                                                                        \
    return 1;                                                                                                \
  }

DEFINE(step_f32, float, sqrtf)
DEFINE(step_f64, double, sqrt)

int adamw_step(const AdamW *o, Tensor *p, const Tensor *g, Tensor *m, Tensor *v) {
  const Tensor *all[] = {g, m, v};
  static const char *const names[] = {"gradient", "first moment", "second moment"};
  if (!dtype_is_real(p->dtype))
    return fail("adamw: expected float32 or float64 parameters, found %s", dtype_name[p->dtype]);
  for (int i = 0; i < 3; i++)
    if (all[i]->dtype != p->dtype || !tensor_same_shape(all[i], p))
      return fail("adamw: %s: expected %s %s, found %s %s", names[i], dtype_name[p->dtype], tensor_text(p),
                  dtype_name[all[i]->dtype], tensor_text(all[i]));
  if (o->step < 1) return fail("adamw: step: expected 1 or more, found %ld", o->step);
  Job j = {.n = p->size,
           .keep = 1 - o->lr * o->weight_decay,
           .rate = o->lr / (1 - pow(o->beta1, (double)o->step)),
           .beta1 = o->beta1,
           .beta2 = o->beta2,
           .correction = 1 / sqrt(1 - pow(o->beta2, (double)o->step)),
           .eps = o->eps};
  if (!(j.p = tensor_write(p)) || !(j.m = tensor_write(m)) || !(j.v = tensor_write(v))) return 0;
  j.g = tensor_data(g);
  return parallel((p->size + GRAIN - 1) / GRAIN, p->dtype == F64 ? step_f64 : step_f32, &j);
}
