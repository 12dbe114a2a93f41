/* By events on the device: the median of some trials. */
#include "cuda/measure.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* COMPILED: of engines that take up to two seconds to be compiled. */
enum { CANDIDATES = 8, COMPILED = 3 };
/* A trial is RUNS of them behind WARM others, which keep the device at work while the host asks for them: what it takes
 * for that is not measured then. */
#ifdef CUDA_ON_CPU /* whose clock is exact */
enum { TRIALS = 1, WARM = 1, RUNS = 1 };
#else
enum { TRIALS = 3, WARM = 3, RUNS = 10 };
#endif

/* ---- results ---- */

/* The dtype and the count of numbers of a problem's tensor, where it is a result; else the count is 0. */
static long result_of(const Problem *p, int which, Dtype *dtype) {
  const ConvShape *s = &p->shape;
  const long image = s->n * s->h * s->w * s->ci, map = s->n * s->ho * s->wo * s->co;
  *dtype = p->dtype;
  switch (p->pass) {
  case CONV_DATA: return which == CONV_X ? image : 0;
  case CONV_WEIGHT: return which == CONV_W ? conv_weights(s) : 0;
  case NORM_FORWARD:
    if (which == NORM_Y) return map;
    *dtype = which == NORM_MASK ? U8 : F32;
    return which == NORM_MASK ? map / 8 : which == NORM_MEAN || which == NORM_INVERSE ? s->co : 0;
  case NORM_BACKWARD:
    if (which == NORM_DX || which == NORM_DR) return map;
    *dtype = F32;
    return which == NORM_DWEIGHT || which == NORM_DBIAS ? s->co : 0;
  case CONV_STATISTICS:
    if (which == CONV_SUMS || which == CONV_SQUARES) return *dtype = F32, s->co;
    return which == CONV_Y ? map : 0;
  default: return which == CONV_Y ? map : 0;
  }
}

/* The same tensors, with places of their own for results. 0 with a message. */
static int elsewhere(Call *c, const Problem *p, const void *const *given, const void **data) {
  memcpy(data, given, PLAN_TENSORS * sizeof *data);
  for (int i = 0; i < PLAN_TENSORS; i++) {
    Dtype dtype;
    long n = given[i] ? result_of(p, i, &dtype) : 0;
    void *place = n ? call_scratch(c, (size_t)n * dtype_bytes[dtype]) : NULL;
    if (n && !place) return 0;
    if (n) data[i] = place;
  }
  return 1;
}

static void drop_elsewhere(Call *c, const void *const *given, const void *const *data) {
  for (int i = 0; i < PLAN_TENSORS; i++)
    if (data[i] != given[i]) call_drop(c, (void *)data[i]);
}

/* ---- agreement ---- */

/* Whether two results are the same but for rounding: of masks all bits but a hundredth, of numbers 2 % of the largest
 * in halves, else 0.1 %. NaN agrees with nothing. */
static bool same_bits(const uint8_t *a, const uint8_t *b, long n) {
  long others = 0;
  for (long i = 0; i < n; i++) others += __builtin_popcount(a[i] ^ b[i]);
  return others * 100 <= n * 8;
}

static bool same_numbers(const float *a, const float *b, long n, bool halves) {
  float most = 0, apart = 0;
  for (long i = 0; i < n; i++) {
    float d = fabsf(a[i] - b[i]);
    if (!(d < INFINITY)) return false;
    most = fmaxf(most, fabsf(a[i])), apart = fmaxf(apart, d);
  }
  return apart <= (halves ? 2e-2f : 1e-3f) * most;
}

/* A result on the host, numbers as float32, to be freed. NULL with a message. */
static void *fetched(Call *c, const void *data, Dtype dtype, long n) {
  size_t bytes = (size_t)n * dtype_bytes[dtype];
  void *as_is = malloc(bytes), *to = as_is;
  bool good = as_is || fail_memory("out of memory: results of cuDNN");
  good = good && device_copy(device_cpu(), as_is, c->device, data, bytes);
  if (good && dtype_is_half(dtype)) {
    to = malloc((size_t)n * sizeof(float));
    good = to ? host_cast(dtype, as_is, F32, to, n) : fail_memory("out of memory: results of cuDNN");
    free(as_is);
  }
  if (good) return to;
  free(to);
  return NULL;
}

/* Whether what a plan gave is what our own kernels did, as far as they have given it. */
static bool agrees(Call *c, const Problem *p, const void *const *own, const void *const *data) {
  bool good = true;
  for (int i = 0; i < PLAN_TENSORS && good; i++) {
    Dtype dtype;
    long n = data[i] != own[i] ? result_of(p, i, &dtype) : 0;
    if (!n || (p->pass == CONV_STATISTICS && i != CONV_Y)) continue;
    void *a = fetched(c, own[i], dtype, n), *b = a ? fetched(c, data[i], dtype, n) : NULL;
    good = b && (dtype == U8 ? same_bits(a, b, n) : same_numbers(a, b, n, dtype_is_half(p->dtype)));
    free(a);
    free(b);
  }
  return good;
}

/* ---- time ---- */

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static bool run_often(Call *c, Apart work, int times) {
  while (times-- > 0)
    if (!work.run(c, work.of)) return false;
  return true;
}

/* Milliseconds of run(c, of), the median; below 0: it does not run. */
static float time_of(Call *c, Apart work, cudaEvent_t *event) {
  cudaStream_t s = stream_of(c);
  float took[TRIALS];
  for (int i = 0; i < TRIALS; i++)
    if (!run_often(c, work, WARM) || cudaEventRecord(event[0], s) || !run_often(c, work, RUNS) ||
        cudaEventRecord(event[1], s) || cudaEventSynchronize(event[1]) ||
        cudaEventElapsedTime(&took[i], event[0], event[1]))
      return -1;
  qsort(took, TRIALS, sizeof *took, ascending);
  return took[TRIALS / 2] / RUNS;
}

/* A run of a plan. */
typedef struct Run {
  const Plan *plan;
  void *handle;
  const void *const *data;
  void *workspace;
} Run;

static int run_plan(Call *c, void *of) {
  const Run *r = of;
  (void)c;
  return plan_run(r->plan, r->handle, r->data, r->workspace);
}

static float time_of_plan(Call *c, const Plan *plan, void *handle, const void *const *data,
                          cudaEvent_t *event) {
  Run r = {plan, handle, data, plan->workspace ? call_scratch(c, plan->workspace) : NULL};
  if (plan->workspace && !r.workspace) return -1;
  float took = time_of(c, (Apart){run_plan, &r}, event);
  call_drop(c, r.workspace);
  return took;
}

/* Whether a shift that is NaN makes its channel NaN, and no other, through an activation. */
static bool keeps_nan(Call *c, const Problem *p, const Plan *plan, void *handle, const void *const *given) {
  const void *data[PLAN_TENSORS];
  const size_t bytes = (size_t)p->shape.co * sizeof(float);
  if (p->pass != CONV_FORWARD || p->act == ACT_NONE) return true;
  if (!p->shift) return false; /* nobody can tell */
  memcpy(data, given, sizeof data);
  float *shift = call_scratch(c, bytes), *y = NULL;
  void *workspace = plan->workspace ? call_scratch(c, plan->workspace) : NULL;
  data[CONV_SHIFT] = shift;
  bool good = shift && (workspace || !plan->workspace) &&
              device_copy(c->device, shift, c->device, given[CONV_SHIFT], bytes) &&
              !cudaMemsetAsync(shift, 0xff, sizeof *shift, stream_of(c)) &&
              plan_run(plan, handle, data, workspace) &&
              (y = fetched(c, data[CONV_Y], p->dtype, p->shape.co));
  for (long i = 0; i < p->shape.co && good; i++) good = (y[i] != y[i]) == (i == 0);
  free(y);
  call_drop(c, workspace);
  call_drop(c, shift);
  return good;
}

static void find_fastest(Call *c, const Problem *p, void *handle, const void *const *own,
                         const void *const *data, cudaEvent_t *event, Measured *m) {
  long offer = 0;
  for (int i = 0; i < (p->compile ? COMPILED : CANDIDATES); i++) {
    Plan *plan = plan_from(p, handle, NULL, offer);
    if (!plan) return;
    offer = plan->offer + 1;
    float took = time_of_plan(c, plan, handle, data, event);
    if (m->usual < 0) m->usual = took;
    bool first = !m->best && !m->apart;
    if (took < 0 || !(first || (took < m->fastest && took < 0.95f * m->usual)) ||
        (m->apart && !(agrees(c, p, own, data) && keeps_nan(c, p, plan, handle, data)))) {
      plan_free(plan);
      continue;
    }
    plan_free(m->best);
    m->best = plan;
    m->fastest = took;
  }
}

void plan_measure(Call *c, const Problem *p, void *handle, const void *const *data, const Apart *apart,
                  Measured *m) {
  const void *places[PLAN_TENSORS] = {NULL};
  cudaEvent_t event[2] = {NULL};
  *m = (Measured){.usual = -1};
  bool good = elsewhere(c, p, data, places) && !cudaEventCreateWithFlags(&event[0], cudaEventDefault) &&
              !cudaEventCreateWithFlags(&event[1], cudaEventDefault);
  if (good && apart) {
    m->fastest = m->usual = time_of(c, *apart, event);
    m->apart = good = m->usual >= 0;
  }
  if (good) find_fastest(c, p, handle, data, places, event, m);
  for (int i = 0; i < 2; i++)
    if (event[i]) cudaEventDestroy(event[i]);
  drop_elsewhere(c, data, places);
}
