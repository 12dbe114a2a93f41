/* From an operation graph to a plan that runs, in the terms of cuDNN's backend API. */
#include "cuda/graph_build.h"

#include "core/error.h"

#ifdef CUDNN_BUILT
#include <stdlib.h>
#include <string.h>

enum { OFFERS = 64 }; /* how many configurations are looked at */

static int64_t get(const Planned *g, Node n, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t room, void *value) {
  int64_t count = 0;
  return n && !g->lib->get(n, name, type, room, &count, value) ? (count < room ? count : room) : 0;
}

/* What cuDNN says of a configuration's engine into the plan; false where the problem forbids it. Sums whose order
 * differs from run to run, and inputs or sums of fewer bits than the dtypes have, always are. */
static bool allowed(Planned *g, const Problem *p, Node config) {
  cudnnBackendNumericalNote_t numeric[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  cudnnBackendBehaviorNote_t behavior[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
  Node engine = NULL;
  int64_t number = 0;
  bool good = true;
  if (g->lib->make(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine)) return false;
  good = get(g, config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine) == 1;
  get(g, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &number);
  g->plan = (Plan){.engine = (long)number};
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
  Node n = graph_make(g, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  graph_set_node(g, n, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (to->handle) graph_set(g, n, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &to->handle);
  if (to->device) graph_set_node(g, n, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, to->device);
  graph_finalize(g, n, "a plan");
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
static void choose(Planned *g, const Problem *p, const Target *to, Node graph, cudnnBackendHeurMode_t mode) {
  long behind = mode == CUDNN_HEUR_MODE_A ? 0 : OFFERS; /* the number of its first offer */
  Node config[OFFERS] = {0}, heuristics = graph_make(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  int made = 0;
  graph_set_node(g, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  if (to->device) graph_set_node(g, heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, to->device);
  graph_set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  graph_finalize(g, heuristics, "heuristics");
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

static void plan(Planned *g, const Problem *p, void *handle, const char *properties) {
  Target to = {.handle = handle};
  Node graph = graph_make(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph_set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->operations,
            g->operation);
  if (handle) graph_set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  graph_finalize(g, graph, "the graph");
  if (!handle) {
    to.device = graph_make(g, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    graph_set(g, to.device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
              (int64_t)strlen(properties) + 1, properties);
    graph_finalize(g, to.device, "the device's properties");
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
static Plan *ended(Planned *g) {
  if (g->execution) return &g->plan;
  if (short_of_memory(g))
    fail_memory("out of memory: cuDNN: %s", g->words);
  else
    fail("cuDNN: %s", g->words[0] ? g->words : "no engine for the graph");
  plan_free(&g->plan);
  return NULL;
}

Plan *plan_from(const Problem *p, void *handle, const char *properties, long offer) {
  Planned *g = planned_new();
  if (!g) return NULL;
  g->first = offer;
  graph_build(g, p);
  plan(g, p, handle, properties);
  return ended(g);
}

Plan *plan_new(const Problem *p, void *handle, const char *properties) {
  return plan_from(p, handle, properties, 0);
}

char *plan_text(const Plan *plan) {
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

Plan *plan_read(const Problem *p, void *handle, const char *text) {
  Planned *g = planned_new();
  if (!g) return NULL;
  graph_build(g, p); /* which tensors there are */
  Node n = graph_make(g, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  int64_t workspace = 0;
  graph_set(g, n, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  graph_set(g, n, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(text) + 1,
            text);
  graph_finalize(g, n, "a plan's text");
  get(g, n, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace);
  g->plan.workspace = (size_t)workspace;
  if (!g->status) g->execution = n;
  return ended(g);
}

void plan_free(Plan *plan) {
  Planned *g = (Planned *)plan;
  if (!g) return;
  while (g->nodes > 0) g->lib->destroy(g->node[--g->nodes]);
  free(g);
}

int plan_run(const Plan *plan, void *handle, const void *const *data, void *workspace) {
  const Planned *planned = (const Planned *)plan;
  Planned run = {.lib = planned->lib}; /* the one node of a run */
  int64_t uid[PLAN_TENSORS], count = 0;
  const void *at[PLAN_TENSORS];
  for (int i = 0; i < PLAN_TENSORS; i++) {
    if (!planned->present[i]) continue;
    uid[count] = i + 1;
    at[count++] = data[i];
  }
  Node pack = graph_make(&run, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  graph_set(&run, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uid);
  graph_set(&run, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, at);
  graph_set(&run, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  graph_finalize(&run, pack, "the tensors");
  if (!run.status) graph_check(&run, run.lib->execute(handle, planned->execution, pack), "a convolution");
  if (pack) run.lib->destroy(pack);
  return !run.status || fail("cuDNN: %s", run.words);
}
#elif !defined CUDA_ON_CPU
Plan *plan_from(const Problem *p, void *handle, const char *properties, long offer) {
  (void)p, (void)handle, (void)properties, (void)offer;
  return fail("cuDNN: not built in"), NULL;
}

Plan *plan_new(const Problem *p, void *handle, const char *properties) {
  return plan_from(p, handle, properties, 0);
}

char *plan_text(const Plan *plan) {
  (void)plan;
  return fail("cuDNN: not built in"), NULL;
}

Plan *plan_read(const Problem *p, void *handle, const char *text) {
  (void)text;
  return plan_from(p, handle, NULL, 0);
}

void plan_free(Plan *plan) { (void)plan; }

int plan_run(const Plan *plan, void *handle, const void *const *data, void *workspace) {
  (void)plan, (void)handle, (void)data, (void)workspace;
  return fail("cuDNN: not built in");
}
#endif
