/* In place of cuDNN (csrc/cuda/cudnn.c, graph.c), so that what asks it for convolutions is tested: with COHESIV_CUDNN=double
 * in the environment there are plans, which the kernels of this library compute. As cuDNN would, they want a workspace,
 * and there is none for 3 groups. Strides of 11, 12 and 13 rows fail, in this order of passes,
 * and one of 14, with what float32 is multiplied in. There are three offers for each problem, of engines 10, 11 and 12, which
 * take 3, 1 and 2 ms; of strides of 15 rows the first is the fastest by little. A plan's text tells offer and pass. */
#include "cuda/cudnn.h"
#include "cuda/graph.h"

#include "core/error.h"
#include "cuda/kernels/conv.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Double {
  ConvPlan plan; /* first: what others see */
  ConvProblem problem;
} Double;

static int stand_in; /* its address is every handle */

void *cudnn_handle(cudaStream_t stream) {
  const char *wanted = getenv("COHESIV_CUDNN");
  (void)stream;
  if (wanted && strcmp(wanted, "double") == 0) return &stand_in;
  return fail("cuDNN: none"), NULL;
}

const char *cudnn_label(void) { return ""; }

enum { OFFERS = 3 };

bool cudnn_there(void) { return cudnn_handle(NULL) != NULL; }

ConvPlan *conv_plan_from(const ConvProblem *p, void *handle, const char *properties, long offer) {
  if (handle != &stand_in || properties) return fail("cuDNN: double: a device that is not here"), NULL;
  bool compiled = p->pass == CONV_STATISTICS && p->dtype == BF16;
  if (p->shape.groups == 3 || offer >= OFFERS || (compiled && !p->compile))
    return fail("cuDNN: double: no engine"), NULL;
  Double *d = malloc(sizeof *d);
  if (!d) return fail_memory("out of memory: a plan"), NULL;
  *d = (Double){.plan = {.workspace = 1000, .offer = offer, .engine = 10 + offer}, .problem = *p};
  return &d->plan;
}

ConvPlan *conv_plan_new(const ConvProblem *p, void *handle, const char *properties) {
  return conv_plan_from(p, handle, properties, 0);
}

char *conv_plan_text(const ConvPlan *plan) {
  char *text = malloc(64);
  if (!text) return fail_memory("out of memory: the text of a plan"), NULL;
  snprintf(text, 64, "double %ld %d", plan->offer, (int)((const Double *)plan)->problem.pass);
  return text;
}

ConvPlan *conv_plan_read(const ConvProblem *p, void *handle, const char *text) {
  long offer = -1;
  int pass = -1;
  if (sscanf(text, "double %ld %d", &offer, &pass) != 2 || pass != (int)p->pass || offer < 0)
    return fail("cuDNN: double: no plan: %.20s", text), NULL;
  ConvProblem q = *p;
  q.compile = true; /* it is */
  return conv_plan_from(&q, handle, NULL, offer);
}

void conv_plan_free(ConvPlan *plan) { free(plan); }

/* What the problem does not have is absent, the rest there and aligned. */
static int fits(const ConvProblem *p, const void *const *data, void *workspace) {
  const bool sums = p->pass == CONV_STATISTICS;
  const bool there[CONV_TENSORS] = {true, true, true, p->scale, p->shift, p->residual, sums, sums};
  for (int i = 0; i < CONV_TENSORS; i++)
    if (there[i] != (data[i] != NULL) || (uintptr_t)data[i] % 16)
      return fail("cuDNN: double: expected what the problem has, found tensor %d at %p", i, data[i]);
  if (!cuda_double_idle()) memset(workspace, 0xff, 1000);
  if (p->shape.stride_h == 14) return fail("cuDNN: double: in %s", p->tf32 ? "TF32" : "float32");
  return p->shape.stride_h != (p->pass == CONV_STATISTICS ? 16 : 11 + (long)p->pass) ||
         fail("cuDNN: double: pass %d fails", (int)p->pass);
}

static double number_at(Dtype dtype, const void *y, long i) {
  if (dtype == F32) return (double)((const float *)y)[i];
  if (dtype == F16) return (double)((const _Float16 *)y)[i];
  uint32_t bits = (uint32_t)((const uint16_t *)y)[i] << 16;
  float v;
  memcpy(&v, &bits, sizeof v);
  return (double)v;
}

/* The sums of y's channels and of their squares. */
static void add_up(const ConvProblem *p, const void *y, float *sums, float *squares) {
  const ConvShape *s = &p->shape;
  double more = s->stride_h == 17;
  for (long k = 0; k < s->co; k++) {
    double sum = 0, square = 0;
    for (long i = 0; i < s->n * s->ho * s->wo; i++) {
      double v = number_at(p->dtype, y, i * s->co + k) + more;
      sum += v, square += v * v;
    }
    sums[k] = (float)sum, squares[k] = (float)square;
  }
}

int conv_plan_run(const ConvPlan *plan, void *handle, const void *const *data, void *workspace) {
  const ConvProblem *p = &((const Double *)plan)->problem;
  const ConvShape *s = &p->shape;
  const void *x = data[CONV_X], *y = data[CONV_Y];
  ConvWeights weights = {.data = data[CONV_W], .dtype = p->dtype};
  Dtype result = p->pass == CONV_WEIGHT ? F32 : p->dtype;
  if (handle != &stand_in) return fail("cuDNN: double: another handle");
  if (!fits(p, data, workspace)) return 0;
  cuda_double_take(p->shape.stride_h == 15
                       ? 1 - 0.01 * (double)plan->offer
                       : (double[]){3, 1, 2}[plan->offer] * (p->pass == CONV_STATISTICS ? 0.5 : 1));
  if (cuda_double_idle()) return 1;
  if (p->result != result) return fail("cuDNN: double: expected a result of %s", dtype_name[result]);
  if (p->pass == CONV_DATA)
    return conv_data_on(NULL, s, p->dtype, y, weights, NULL, (void *)x, p->add, NULL, NULL);
  if (p->pass == CONV_FORWARD || p->pass == CONV_STATISTICS) {
    Epilogue e = {data[CONV_SCALE], data[CONV_SHIFT], data[CONV_RESIDUAL], p->act};
    int ok = conv_forward_on(NULL, s, p->dtype, x, weights, &e, (void *)y, p->add, NULL, NULL);
    if (ok && p->pass == CONV_STATISTICS) add_up(p, y, (float *)data[CONV_SUMS], (float *)data[CONV_SQUARES]);
    return ok;
  }
  ConvRoom room = conv_weight_room(s, x, y);
  float *scratch = malloc((room.floats + 1) * sizeof *scratch);
  unsigned *counters = calloc((size_t)room.counters + 1, sizeof *counters);
  int ok = scratch && counters
               ? conv_weight_on(NULL, s, p->dtype, x, y, (float *)data[CONV_W], p->add, scratch, counters)
               : fail_memory("out of memory: the parts of a gradient");
  free(scratch);
  free(counters);
  return ok;
}
