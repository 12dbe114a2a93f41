/* In place of cuDNN (csrc/cuda/cudnn.c, graph.c), so that what asks it for convolutions and norms is tested: with COHESIV_CUDNN=double
 * in the environment there are plans, which the kernels of this library compute. As cuDNN would, they want a workspace,
 * and there is none for 3 groups. Strides of 11, 12 and 13 rows fail, in this order of passes,
 * and one of 14, with what float32 is multiplied in. There are three offers for each problem, of engines 10, 11 and 12, which
 * take 3, 1 and 2 ms; of strides of 15 rows the first is the fastest by little. Norms of maps 19 wide get y or dx wrong by a
 * tenth in the second offer, of maps 21 wide masks whose bits are the other way round in all; they take long of maps 23 wide. Convolutions of maps 25 wide hide a NaN
 * from ReLU.
 * A plan's text tells offer and
 * pass. */
#include "cuda/cudnn.h"
#include "cuda/graph.h"

#include "core/device.h"
#include "core/error.h"
#include "cuda/kernels/conv.h"
#include "cuda/kernels/norm.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Double {
  Plan plan; /* first: what others see */
  Problem problem;
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

Plan *plan_from(const Problem *p, void *handle, const char *properties, long offer) {
  if (handle != &stand_in || properties) return fail("cuDNN: double: a device that is not here"), NULL;
  bool compiled = p->pass >= NORM_FORWARD || (p->pass == CONV_STATISTICS && p->dtype == BF16);
  if (p->shape.groups == 3 || offer >= OFFERS || (compiled && !p->compile))
    return fail("cuDNN: double: no engine"), NULL;
  Double *d = malloc(sizeof *d);
  if (!d) return fail_memory("out of memory: a plan"), NULL;
  *d = (Double){.plan = {.workspace = 1000, .offer = offer, .engine = 10 + offer}, .problem = *p};
  return &d->plan;
}

Plan *plan_new(const Problem *p, void *handle, const char *properties) {
  return plan_from(p, handle, properties, 0);
}

char *plan_text(const Plan *plan) {
  char *text = malloc(64);
  if (!text) return fail_memory("out of memory: the text of a plan"), NULL;
  snprintf(text, 64, "double %ld %d", plan->offer, (int)((const Double *)plan)->problem.pass);
  return text;
}

Plan *plan_read(const Problem *p, void *handle, const char *text) {
  long offer = -1;
  int pass = -1;
  if (sscanf(text, "double %ld %d", &offer, &pass) != 2 || pass != (int)p->pass || offer < 0)
    return fail("cuDNN: double: no plan: %.20s", text), NULL;
  Problem q = *p;
  q.compile = true; /* it is */
  return plan_from(&q, handle, NULL, offer);
}

void plan_free(Plan *plan) { free(plan); }

/* Whether the problem has the tensor. */
static bool has(const Problem *p, int which) {
  const bool sums = p->pass == CONV_STATISTICS, act = p->act != ACT_NONE;
  const bool convolution[PLAN_TENSORS] = {true, true, true, p->scale, p->shift, p->residual, sums, sums};
  const bool add = p->pass == NORM_FORWARD && p->residual, mask = p->residual && act;
  const bool forward = p->pass == NORM_FORWARD;
  const bool norm[PLAN_TENSORS] = {true,
                                   forward,
                                   add,
                                   mask,
                                   true,
                                   forward || (act && !p->residual),
                                   true,
                                   true,
                                   forward,
                                   forward && mask,
                                   !forward,
                                   !forward,
                                   !forward && mask,
                                   !forward,
                                   !forward};
  return (p->pass >= NORM_FORWARD ? norm : convolution)[which];
}

/* What the problem does not have is absent, the rest there and aligned. */
static int fits(const Problem *p, const void *const *data, void *workspace) {
  for (int i = 0; i < PLAN_TENSORS; i++)
    if (has(p, i) != (data[i] != NULL) || (uintptr_t)data[i] % 16)
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
static void add_up(const Problem *p, const void *y, float *sums, float *squares) {
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

/* Numbers of a map, a tenth more of each. */
static void spoil(Dtype dtype, void *y, long n) {
  for (long i = 0; i < n; i++)
    if (dtype == F32)
      ((float *)y)[i] *= 1.1f;
    else if (dtype == F16)
      ((_Float16 *)y)[i] *= (_Float16)1.1f;
    else
      ((uint16_t *)y)[i] ^= 0x10;
}

static int norm(const Problem *p, long offer, const void *const *data) {
  const ConvShape *s = &p->shape;
  const long C = s->co, n = s->n * s->h * s->w;
  const Rows rows = rows_cut(1, n, C, p->dtype);
  float *line = malloc((size_t)(2 * C) * sizeof *line);
  NormStatistics a = {.weight = data[NORM_WEIGHT],
                      .bias = data[NORM_BIAS],
                      .eps = (double)*(const float *)data[NORM_EPS],
                      .mean = (float *)data[NORM_MEAN],
                      .inverse = (float *)data[NORM_INVERSE],
                      .scale = line,
                      .shift = line + C};
  if (!line) return fail_memory("out of memory: a norm");
  int ok = norm_few_on(NULL, rows, p->dtype, data[NORM_X], &a, data[NORM_RESIDUAL], p->act,
                       (void *)data[NORM_Y], (unsigned char *)data[NORM_MASK]);
  if (s->w == 19 && offer == 1) spoil(p->dtype, (void *)data[NORM_Y], n * C);
  for (long i = 0; s->w == 21 && data[NORM_MASK] && i < n * C / 8; i++) {
    unsigned char *m = (unsigned char *)data[NORM_MASK] + i, turned = 0;
    for (int k = 0; k < 8; k++) turned |= (unsigned char)((*m >> k & 1) << (7 - k));
    *m = turned;
  }
  free(line);
  return ok;
}

static int norm_gradient(const Problem *p, long offer, const void *const *data) {
  const ConvShape *s = &p->shape;
  const long C = s->co, n = s->n * s->h * s->w;
  const float *weight = data[NORM_WEIGHT], *bias = data[NORM_BIAS], *mean = data[NORM_MEAN],
              *inverse = data[NORM_INVERSE];
  float *line = malloc((size_t)(4 * C) * sizeof *line);
  if (!line) return fail_memory("out of memory: a norm's gradient");
  for (long c = 0; c < C; c++) {
    line[c] = weight[c] * inverse[c];
    line[C + c] = (bias ? bias[c] : 0) - mean[c] * line[c];
  }
  NormBack b = {.x = data[NORM_X],
                .dy = data[NORM_DY],
                .mask = data[NORM_MASK],
                .mean = mean,
                .scale = line,
                .shift = line + C,
                .slope = line + 2 * C,
                .offset = line + 3 * C,
                .dx = (float *)data[NORM_DX],
                .dr = (float *)data[NORM_DR],
                .act = p->act};
  NormLines to = {.inverse = inverse,
                  .share = 1 / (double)n,
                  .slope = line + 2 * C,
                  .offset = line + 3 * C,
                  .dweight = (float *)data[NORM_DWEIGHT],
                  .dbias = (float *)data[NORM_DBIAS]};
  int ok = norm_few_back_on(NULL, rows_cut(1, n, C, p->dtype), &b, p->dtype, &to);
  if (s->w == 19 && offer == 1) spoil(p->dtype, (void *)data[NORM_DX], n * C);
  free(line);
  return ok;
}

/* Milliseconds. A norm is faster than our own kernels, or, of maps 23 wide, slower; it pays for the one that it runs. */
static double time_of(const Problem *p, long offer) {
  const double all[OFFERS] = {3, 1, 2};
  if (p->shape.stride_h == 15) return 1 - 0.01 * (double)offer;
  bool more = p->scale || p->shift || p->residual || p->act != ACT_NONE;
  if (p->pass < CONV_STATISTICS) return all[offer] * (more ? 0.5 : 1);
  if (p->pass == CONV_STATISTICS) return all[offer] * 0.5;
  return p->shape.w == 23 ? 1 : all[offer] * 0.3 * DOUBLE_LAUNCH - DOUBLE_LAUNCH;
}

int plan_run(const Plan *plan, void *handle, const void *const *data, void *workspace) {
  const Problem *p = &((const Double *)plan)->problem;
  const ConvShape *s = &p->shape;
  const void *x = data[CONV_X], *y = data[CONV_Y];
  ConvWeights weights = {.data = data[CONV_W], .dtype = p->dtype};
  if (handle != &stand_in) return fail("cuDNN: double: another handle");
  if (!fits(p, data, workspace)) return 0;
  cuda_double_take(time_of(p, plan->offer));
  if (cuda_double_idle()) return 1;
  if (p->pass == NORM_FORWARD) return norm(p, plan->offer, data);
  if (p->pass == NORM_BACKWARD) return norm_gradient(p, plan->offer, data);
  if (p->pass == CONV_DATA)
    return conv_data_on(NULL, s, p->dtype, y, weights, NULL, (void *)x, p->add, NULL, NULL);
  if (p->pass == CONV_FORWARD || p->pass == CONV_STATISTICS) {
    Epilogue e = {data[CONV_SCALE], data[CONV_SHIFT], data[CONV_RESIDUAL], p->act};
    int ok = conv_forward_on(NULL, s, p->dtype, x, weights, &e, (void *)y, p->add, NULL, NULL);
    for (long i = 0; s->w == 25 && p->act == ACT_RELU && i < s->n * s->ho * s->wo * s->co; i++)
      if (!(((float *)y)[i] > 0)) ((float *)y)[i] = 0;
    if (ok && p->pass == CONV_STATISTICS) add_up(p, y, (float *)data[CONV_SUMS], (float *)data[CONV_SQUARES]);
    return ok;
  }
  const long n = conv_weights(s);
  float *dw = p->dtype == F32 ? (float *)data[CONV_W] : malloc((size_t)n * sizeof *dw);
  ConvRoom room = conv_weight_room(s, x, y);
  float *scratch = malloc((room.floats + 1) * sizeof *scratch);
  unsigned *counters = calloc((size_t)room.counters + 1, sizeof *counters);
  int ok = scratch && counters && dw ? conv_weight_on(NULL, s, p->dtype, x, y, dw, p->add, scratch, counters)
                                     : fail_memory("out of memory: the parts of a gradient");
  if (dw != data[CONV_W]) {
    ok = ok && host_cast(F32, dw, p->dtype, (void *)data[CONV_W], n);
    free(dw);
  }
  free(scratch);
  free(counters);
  return ok;
}
