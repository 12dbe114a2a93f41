/* Graphs and plans in the terms of cuDNN's backend API. An error sticks to the graph: after the first one every call
 * does nothing, and its words are kept. */
#include "cuda/graph.h"

#include "core/error.h"
#include "cuda/cudnn.h"

#ifdef CUDNN_BUILT
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef cudnnBackendDescriptor_t Node;

/* NODES: more than the largest graph and its plan have. OFFERS: how many configurations are looked at. INNER: numbers of tensors that
 * exist between operations alone begin here; others are numbered by their place, from 1. */
enum { NODES = 40, OPERATIONS = 5, OFFERS = 64, INNER = 100 };

typedef struct Planned {
  ConvPlan plan; /* first: what others see */
  const Cudnn *lib;
  Node node[NODES], operation[OPERATIONS], execution; /* all that was made, to be destroyed together */
  int nodes, operations;
  int64_t inner;
  bool present[CONV_TENSORS];
  long first; /* offers before it are passed over */
  cudnnStatus_t status;
  char words[256];
} Planned;

/* ---- descriptors ---- */

static void check(Planned *g, cudnnStatus_t status, const char *what) {
  if (g->status || !status) return;
  char said[200] = "";
  g->status = status;
  g->lib->last_error(said, sizeof said);
  snprintf(g->words, sizeof g->words, "%s: %s", what, said);
}

static Node make(Planned *g, cudnnBackendDescriptorType_t type) {
  Node n = NULL;
  if (g->status) return NULL;
  check(g, g->nodes + 1 < NODES ? g->lib->make(type, &n) : CUDNN_STATUS_INTERNAL_ERROR, "a descriptor");
  return g->status ? NULL : (g->node[g->nodes++] = n);
}

static void set(Planned *g, Node n, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                int64_t count, const void *value) {
  if (!g->status) check(g, g->lib->set(n, name, type, count, value), "an attribute");
}

static void set_node(Planned *g, Node n, cudnnBackendAttributeName_t name, Node value) {
  set(g, n, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void set_pair(Planned *g, Node n, cudnnBackendAttributeName_t name, long h, long w) {
  set(g, n, name, CUDNN_TYPE_INT64, 2, (int64_t[]){h, w});
}

static Node finalize(Planned *g, Node n, const char *what) {
  if (!g->status) check(g, g->lib->finalize(n), what);
  return n;
}

static void add_operation(Planned *g, Node n, const char *what) {
  if (g->operations == OPERATIONS) check(g, CUDNN_STATUS_INTERNAL_ERROR, "too many operations");
  if (!g->status) g->operation[g->operations++] = finalize(g, n, what);
}

static int64_t get(const Planned *g, Node n, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t room, void *value) {
  int64_t count = 0;
  return n && !g->lib->get(n, name, type, room, &count, value) ? (count < room ? count : room) : 0;
}

/* ---- tensors: sizes in cuDNN's order, memory channels-last ---- */

static cudnnDataType_t type_of(Dtype d) {
  return d == BF16 ? CUDNN_DATA_BFLOAT16 : d == F16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

static Node tensor(Planned *g, int64_t uid, Dtype dtype, long n, long c, long h, long w) {
  Node t = make(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  int64_t alignment = 16;
  bool inner = uid >= INNER;
  cudnnDataType_t type = type_of(dtype);
  set(g, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(g, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, (int64_t[]){n, c, h, w});
  set(g, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, (int64_t[]){h * w * c, 1, w * c, c});
  set(g, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
  set(g, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
  if (inner) set(g, t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &inner);
  return finalize(g, t, "a tensor");
}

static Node place(Planned *g, int which, Dtype dtype, long n, long c, long h, long w) {
  g->present[which] = true;
  return tensor(g, which + 1, dtype, n, c, h, w);
}

static Node place_result(Planned *g, const ConvProblem *p, int which) {
  const ConvShape *s = &p->shape;
  return place(g, which, p->result, s->n, s->co, s->ho, s->wo);
}

static Node place_channels(Planned *g, const ConvProblem *p, int which) {
  return place(g, which, F32, 1, p->shape.co, 1, 1);
}

/* Results between operations are float32: they live in registers. */
static Node inner_result(Planned *g, const ConvShape *s) {
  return tensor(g, INNER + g->inner++, F32, s->n, s->co, s->ho, s->wo);
}

/* ---- operations ---- */

/* Zeros behind the image: as many as before it where that gives as many results, else as few as do. */
static long after(long size, long before, long reach, long stride, long results) {
  long least = (results - 1) * stride + reach - size - before;
  return least <= before && before < least + stride ? before : least > 0 ? least : 0;
}

static Node convolution(Planned *g, const ConvShape *s) {
  Node c = make(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  int64_t dimensions = 2;
  set(g, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(g, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  set(g, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dimensions);
  set_pair(g, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, s->top, s->left);
  set_pair(g, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
           after(s->h, s->top, conv_reach_h(s), s->stride_h, s->ho),
           after(s->w, s->left, conv_reach_w(s), s->stride_w, s->wo));
  set_pair(g, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, s->stride_h, s->stride_w);
  set_pair(g, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, s->dilation_h, s->dilation_w);
  return finalize(g, c, "a convolution");
}

static void convolve(Planned *g, const ConvProblem *p, Node x, Node w, Node y) {
  static const struct {
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
  } names[] = {
#define PASS(OPERATION, NAME, X, W, Y)                                                                       \
  {CUDNN_BACKEND_OPERATION_CONVOLUTION_##OPERATION##_DESCRIPTOR,                                             \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##X,                                                            \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##W,                                                            \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##Y,                                                            \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_CONV_DESC,                                                      \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_ALPHA,                                                          \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_BETA}
      [CONV_FORWARD] = PASS(FORWARD, FORWARD, X, W, Y),
      [CONV_DATA] = PASS(BACKWARD_DATA, BWD_DATA, DX, W, DY),
      [CONV_WEIGHT] = PASS(BACKWARD_FILTER, BWD_FILTER, X, DW, DY),
      [CONV_STATISTICS] = PASS(FORWARD, FORWARD, X, W, Y)
#undef PASS
  };
  Node c = convolution(g, &p->shape), n = make(g, names[p->pass].operation);
  float alpha = 1, beta = p->add;
  set_node(g, n, names[p->pass].convolution, c);
  set_node(g, n, names[p->pass].x, x);
  set_node(g, n, names[p->pass].w, w);
  set_node(g, n, names[p->pass].y, y);
  set(g, n, names[p->pass].alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
  set(g, n, names[p->pass].beta, CUDNN_TYPE_FLOAT, 1, &beta);
  add_operation(g, n, "the convolution");
}

/* y = mode(x, b), or mode(x) without b. */
static Node pointwise(Planned *g, cudnnPointwiseMode_t mode, double most, Node x, Node b, Node y) {
  Node p = make(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  Node n = make(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnNanPropagation_t keep = CUDNN_PROPAGATE_NAN;
  set(g, p, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  set(g, p, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
  if (mode == CUDNN_POINTWISE_RELU_FWD)
    set(g, p, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &keep);
  if (most > 0) set(g, p, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 1, &most);
  finalize(g, p, "a pointwise function");
  set_node(g, n, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
  set_node(g, n, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b) set_node(g, n, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  set_node(g, n, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  add_operation(g, n, "a pointwise operation");
  return y;
}

/* Sums of x's channels, and of their squares, over all pixels. */
static void add_up(Planned *g, const ConvProblem *p, Node x) {
  Node n = make(g, CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  set(g, n, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode);
  set(g, n, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set_node(g, n, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, x);
  set_node(g, n, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, place_channels(g, p, CONV_SUMS));
  set_node(g, n, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, place_channels(g, p, CONV_SQUARES));
  add_operation(g, n, "statistics");
}

static void build(Planned *g, const ConvProblem *p) {
  const ConvShape *s = &p->shape;
  int left = p->scale + p->shift + p->residual + (p->act != ACT_NONE); /* operations that follow */
  bool forward = p->pass == CONV_FORWARD || p->pass == CONV_STATISTICS;
#define RESULT() (--left ? inner_result(g, s) : place_result(g, p, CONV_Y))
  Node x = place(g, CONV_X, p->pass == CONV_DATA ? p->result : p->dtype, s->n, s->ci, s->h, s->w);
  Node w =
      place(g, CONV_W, p->pass == CONV_WEIGHT ? p->result : p->dtype, s->co, s->ci / s->groups, s->kh, s->kw);
  Node y = !forward ? place(g, CONV_Y, p->dtype, s->n, s->co, s->ho, s->wo)
           : left   ? inner_result(g, s)
                    : place_result(g, p, CONV_Y);
  convolve(g, p, x, w, y);
  if (p->pass == CONV_STATISTICS) add_up(g, p, y);
  if (p->scale) y = pointwise(g, CUDNN_POINTWISE_MUL, 0, y, place_channels(g, p, CONV_SCALE), RESULT());
  if (p->shift) y = pointwise(g, CUDNN_POINTWISE_ADD, 0, y, place_channels(g, p, CONV_SHIFT), RESULT());
  if (p->residual) y = pointwise(g, CUDNN_POINTWISE_ADD, 0, y, place_result(g, p, CONV_RESIDUAL), RESULT());
  if (p->act == ACT_SILU)
    pointwise(g, CUDNN_POINTWISE_SWISH_FWD, 0, y, NULL, RESULT());
  else if (p->act != ACT_NONE)
    pointwise(g, CUDNN_POINTWISE_RELU_FWD, p->act == ACT_RELU6 ? 6 : 0, y, NULL, RESULT());
#undef RESULT
}

/* ---- plans ---- */

/* What cuDNN says of a configuration's engine into the plan; false where the problem forbids it. Sums whose order
 * differs from run to run, and inputs or sums of fewer bits than the dtypes have, always are. */
static bool allowed(Planned *g, const ConvProblem *p, Node config) {
  cudnnBackendNumericalNote_t numeric[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  cudnnBackendBehaviorNote_t behavior[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
  Node engine = NULL;
  int64_t number = 0;
  bool good = true;
  if (g->lib->make(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine)) return false;
  good = get(g, config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine) == 1;
  get(g, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &number);
  g->plan = (ConvPlan){.engine = (long)number};
  int64_t n = get(g, engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                  CUDNN_NUMERICAL_NOTE_TYPE_COUNT, numeric);
  for (int64_t i = 0; i < n; i++) {
    if (numeric[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE) g->plan.tensor_cores = true;
    good = good && numeric[i] != CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC &&
           numeric[i] != CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS &&
           numeric[i] != CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
  }
  n = get(g, engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
          CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, behavior);
  for (int64_t i = 0; i < n; i++)
    if (behavior[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) g->plan.compiled = true;
  g->lib->destroy(engine);
  return good && (p->compile || !g->plan.compiled) && (p->dtype != F32 || p->tf32 || !g->plan.tensor_cores);
}

/* For whom is planned: one of both. */
typedef struct Target {
  void *handle;
  Node device;
} Target;

static void try_config(Planned *g, const Target *to, Node config) {
  int64_t workspace = 0;
  Node n = make(g, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set_node(g, n, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (to->handle) set(g, n, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &to->handle);
  if (to->device) set_node(g, n, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, to->device);
  finalize(g, n, "a plan");
  if (g->status) return;
  get(g, n, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace);
  g->plan.workspace = (size_t)workspace;
  g->execution = n;
}

static bool short_of_memory(const Planned *g) {
  return g->status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
         g->status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
}

/* Makes `execution` of the first configuration of this mode that is allowed and works. One that does not is no failure
 * of the graph. */
static void choose(Planned *g, const ConvProblem *p, const Target *to, Node graph,
                   cudnnBackendHeurMode_t mode) {
  long behind = mode == CUDNN_HEUR_MODE_A ? 0 : OFFERS; /* the number of its first offer */
  Node config[OFFERS] = {0}, heuristics = make(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  int made = 0;
  set_node(g, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  if (to->device) set_node(g, heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, to->device);
  set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  finalize(g, heuristics, "heuristics");
  if (g->status) return;
  while (made < OFFERS && !g->lib->make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config[made])) made++;
  int64_t offered =
      get(g, heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, made, config);
  for (int64_t i = 0; i < offered && !g->execution; i++) {
    int before = g->nodes;
    if (behind + i < g->first || !allowed(g, p, config[i])) continue;
    try_config(g, to, config[i]);
    if (g->execution) { /* its configuration stays with it */
      g->plan.offer = behind + i;
      g->node[g->nodes++] = config[i];
      config[i] = NULL;
    } else if (short_of_memory(g)) {
      break;
    } else {
      while (g->nodes > before) g->lib->destroy(g->node[--g->nodes]);
      g->status = CUDNN_STATUS_SUCCESS;
    }
  }
  for (int i = 0; i < made; i++)
    if (config[i]) g->lib->destroy(config[i]);
}

static void plan(Planned *g, const ConvProblem *p, void *handle, const char *properties) {
  Target to = {.handle = handle};
  Node graph = make(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->operations, g->operation);
  if (handle) set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  finalize(g, graph, "the graph");
  if (!handle) {
    to.device = make(g, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    set(g, to.device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
        (int64_t)strlen(properties) + 1, properties);
    finalize(g, to.device, "the device's properties");
  }
  if (g->status) return;
  choose(g, p, &to, graph, CUDNN_HEUR_MODE_A);
  if (g->execution || short_of_memory(g)) return;
  g->status = CUDNN_STATUS_SUCCESS; /* heuristics that know nothing are no failure either */
  choose(g, p, &to, graph, CUDNN_HEUR_MODE_FALLBACK);
}

static Planned *planned_new(void) {
  const Cudnn *lib = cudnn();
  if (!lib) return NULL;
  Planned *g = calloc(1, sizeof *g);
  if (!g) return fail_memory("out of memory: a plan of cuDNN"), NULL;
  g->lib = lib;
  return g;
}

/* The plan, or NULL with why there is none. */
static ConvPlan *ended(Planned *g) {
  if (g->execution) return &g->plan;
  if (short_of_memory(g))
    fail_memory("out of memory: cuDNN: %s", g->words);
  else
    fail("cuDNN: %s", g->words[0] ? g->words : "no engine for the graph");
  conv_plan_free(&g->plan);
  return NULL;
}

ConvPlan *conv_plan_from(const ConvProblem *p, void *handle, const char *properties, long offer) {
  Planned *g = planned_new();
  if (!g) return NULL;
  g->first = offer;
  build(g, p);
  plan(g, p, handle, properties);
  return ended(g);
}

ConvPlan *conv_plan_new(const ConvProblem *p, void *handle, const char *properties) {
  return conv_plan_from(p, handle, properties, 0);
}

char *conv_plan_text(const ConvPlan *plan) {
  const Planned *g = (const Planned *)plan;
  int64_t length = 0;
  g->lib->get(g->execution, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &length, NULL);
  char *text = length > 0 ? calloc((size_t)length + 1, 1) : NULL;
  if (length > 0 && !text) return fail_memory("out of memory: the text of a plan"), NULL;
  if (text &&
      get(g, g->execution, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, length, text))
    return text;
  free(text);
  return fail("cuDNN: a plan: expected a text of it, found none"), NULL;
}

ConvPlan *conv_plan_read(const ConvProblem *p, void *handle, const char *text) {
  Planned *g = planned_new();
  if (!g) return NULL;
  build(g, p); /* which tensors there are */
  Node n = make(g, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  int64_t workspace = 0;
  set(g, n, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  set(g, n, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(text) + 1, text);
  finalize(g, n, "a plan's text");
  get(g, n, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace);
  g->plan.workspace = (size_t)workspace;
  if (!g->status) g->execution = n;
  return ended(g);
}

void conv_plan_free(ConvPlan *plan) {
  Planned *g = (Planned *)plan;
  if (!g) return;
  while (g->nodes > 0) g->lib->destroy(g->node[--g->nodes]);
  free(g);
}

int conv_plan_run(const ConvPlan *plan, void *handle, const void *const *data, void *workspace) {
  const Planned *planned = (const Planned *)plan;
  Planned run = {.lib = planned->lib}; /* the one node of a run */
  int64_t uid[CONV_TENSORS], count = 0;
  const void *at[CONV_TENSORS];
  for (int i = 0; i < CONV_TENSORS; i++) {
    if (!planned->present[i]) continue;
    uid[count] = i + 1;
    at[count++] = data[i];
  }
  Node pack = make(&run, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  set(&run, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uid);
  set(&run, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, at);
  set(&run, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  finalize(&run, pack, "the tensors");
  if (!run.status) check(&run, run.lib->execute(handle, planned->execution, pack), "a convolution");
  if (pack) run.lib->destroy(pack);
  return !run.status || fail("cuDNN: %s", run.words);
}
#elif !defined CUDA_ON_CPU
ConvPlan *conv_plan_from(const ConvProblem *p, void *handle, const char *properties, long offer) {
  (void)p, (void)handle, (void)properties, (void)offer;
  return fail("cuDNN: not built in"), NULL;
}

ConvPlan *conv_plan_new(const ConvProblem *p, void *handle, const char *properties) {
  return conv_plan_from(p, handle, properties, 0);
}

char *conv_plan_text(const ConvPlan *plan) {
  (void)plan;
  return fail("cuDNN: not built in"), NULL;
}

ConvPlan *conv_plan_read(const ConvProblem *p, void *handle, const char *text) {
  (void)text;
  return conv_plan_from(p, handle, NULL, 0);
}

void conv_plan_free(ConvPlan *plan) { (void)plan; }

int conv_plan_run(const ConvPlan *plan, void *handle, const void *const *data, void *workspace) {
  (void)plan, (void)handle, (void)data, (void)workspace;
  return fail("cuDNN: not built in");
}
#endif
