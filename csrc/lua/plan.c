/* core.plan{inputs...} → a plan that notes every op from here on; plan:finish{outputs...} or plan:cancel()
 * ends that; then plan(inputs...) → outputs, without Lua between the ops (see ops/plan.h). */
#include "ops/plan.h"

#include "lua/handle.h"

#define PLAN_META "cohesiv.Plan"

static Plan **check_plan(lua_State *L) {
  Plan **p = check_object(L, 1, PLAN_META, "plan");
  if (!*p) refuse(L, "plan: expected one that is open, found a closed one");
  return p;
}

/* The tensors of the list at stack index i. */
static int read_list(lua_State *L, int i, Tensor **list) {
  int n = (int)check_list(L, i, "plan", OP_IN);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    list[k] = check_tensor(L, -1, "plan");
    lua_pop(L, 1);
  }
  return n;
}

static int begin(lua_State *L) {
  Tensor *inputs[OP_IN];
  int n = read_list(L, 1, inputs);
  Plan **p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = NULL;
  luaL_setmetatable(L, PLAN_META);
  if (!(*p = plan_begin(inputs, n))) return raise_error(L);
  return 1;
}

static int finish(lua_State *L) {
  Plan **p = check_plan(L);
  Tensor *outputs[OP_IN];
  int n = read_list(L, 2, outputs);
  if (!plan_end(*p, outputs, n)) return raise_error(L);
  lua_settop(L, 1);
  return 1;
}

static int cancel(lua_State *L) {
  Plan **p = check_object(L, 1, PLAN_META, "plan");
  plan_free(*p);
  *p = NULL;
  return 0;
}

static int run(lua_State *L) {
  Plan *p = *check_plan(L);
  int nin = lua_gettop(L) - 1, nout = plan_outputs(p);
  Tensor *inputs[OP_IN], *outputs[OP_IN], **out[OP_IN];
  if (nin > OP_IN) return refuse(L, "plan: expected at most %d tensors, found %d", OP_IN, nin);
  for (int k = 0; k < nin; k++) inputs[k] = check_tensor(L, k + 2, "plan");
  luaL_checkstack(L, OP_IN + 4, "too many results");
  for (int k = 0; k < nout; k++) out[k] = push_tensor(L);
  collect_for_op(L);
  if (!plan_run(p, inputs, nin, outputs)) return raise_error(L);
  for (int k = 0; k < nout; k++) *out[k] = outputs[k];
  return nout;
}

static int steps(lua_State *L) {
  lua_pushinteger(L, plan_steps(*check_plan(L)));
  return 1;
}

void open_plan(lua_State *L) {
  static const luaL_Reg methods[] = {{"finish", finish}, {"cancel", cancel}, {"steps", steps},
                                     {"__call", run},    {"__gc", cancel},   {"__close", cancel},
                                     {NULL, NULL}};
  luaL_newmetatable(L, PLAN_META);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, begin);
  lua_setfield(L, -2, "plan");
}
