/* Tensors in Lua: looking at them, their elements and fields, walking the tape. Parts of them are in region.c, making
 * them in maker.c, what ops do in op.c. */
#include "core/device.h"
#include "core/graph.h"
#include "core/memory.h"
#include "core/pool.h"
#include "core/profile.h"
#include "lua/function.h"
#include "lua/handle.h"
#include "lua/tensor.h"
#include "ops/anomaly.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- reading and writing single numbers ---- */

static double element(const Tensor *t, long i) {
  const void *p = tensor_data(t);
  switch (t->dtype) {
  case F32: return ((const float *)p)[i];
  case F64: return ((const double *)p)[i];
  case U8: return ((const uint8_t *)p)[i];
  case I32: return ((const int32_t *)p)[i];
  case I64: return (double)((const int64_t *)p)[i];
  default: return 0; /* half types are cast first: see push_element's callers */
  }
}

static void push_element(lua_State *L, const Tensor *t, long i) {
  if (t->dtype == I64)
    lua_pushinteger(L, ((const int64_t *)tensor_data(t))[i]);
  else if (t->dtype == U8 || t->dtype == I32)
    lua_pushinteger(L, (lua_Integer)element(t, i));
  else
    lua_pushnumber(L, element(t, i));
}

/* The tensor at argument i, on the CPU and half types widened, so that its elements can be read. */
static Tensor *readable(lua_State *L, int i) {
  Tensor *t = check_host(L, i, "tensor");
  if (!dtype_is_half(t->dtype)) return t;
  Tensor **h = push_tensor(L);
  *h = tensor_cast(t, F32);
  if (!*h) raise_error(L);
  return *h;
}

int tensor_item(lua_State *L) {
  Tensor *t = readable(L, 1);
  if (t->size != 1) {
    fail("item: expected a single element, found %s", tensor_text(t));
    return raise_error(L);
  }
  push_element(L, t, 0);
  return 1;
}

enum { ROWS_OF_NOTHING = 1 << 20 };

/* Tables without an entry cost as much as others, and there is no end to them. */
static int check_rows(const Tensor *t) {
  long rows = 1;
  for (int d = 0; d < t->rank && t->shape[d]; d++) rows *= t->shape[d];
  return t->size > 0 || rows <= ROWS_OF_NOTHING ||
         fail("totable: expected at most %d rows of nothing, found %s", ROWS_OF_NOTHING, tensor_text(t));
}

static void push_nested(lua_State *L, const Tensor *t, int dim, long *at) {
  if (dim == t->rank) {
    push_element(L, t, (*at)++);
    return;
  }
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, t->shape[dim] < INT_MAX ? (int)t->shape[dim] : INT_MAX, 0);
  for (long i = 0; i < t->shape[dim]; i++) {
    push_nested(L, t, dim + 1, at);
    lua_rawseti(L, -2, i + 1);
  }
}

static int totable(lua_State *L) {
  Tensor *t = readable(L, 1);
  long at = 0;
  if (!check_rows(t)) return raise_error(L);
  push_nested(L, t, 0, &at);
  return 1;
}

/* ---- fields ---- */

static void push_shape(lua_State *L, const Tensor *t) {
  lua_createtable(L, t->rank, 0);
  for (int i = 0; i < t->rank; i++) {
    lua_pushinteger(L, t->shape[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static int push_grad(lua_State *L, Tensor *t) {
  Tensor *g = t->var && !t->var->node ? t->var->grad : NULL;
  if (!g) {
    lua_pushnil(L);
    return 1;
  }
  if (g->device->settle && !g->device->settle(g->device, g->storage->data)) return raise_error(L);
  return give_tensor(L, tensor_view(g, 0, g->rank, g->shape));
}

static int length(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "tensor");
  lua_pushinteger(L, t->rank ? t->shape[0] : 0);
  return 1;
}

/* core.signature(what, tensors) → "cpu float32 1x2, …": device, dtype and shape of a list of tensors, the inputs of
 * `what` */
static int signature(lua_State *L) {
  const char *what = check_text(L, 1, "signature");
  long n = check_list(L, 2, what, INT_MAX);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (long i = 1; i <= n; i++) {
    lua_rawgeti(L, 2, i);
    Tensor *t = to_tensor(L, -1);
    if (!t) return refuse(L, "%s: input %d: expected a tensor, found %s", what, (int)i, luaL_typename(L, -1));
    lua_pop(L, 1);
    if (i > 1) luaL_addstring(&out, ", ");
    luaL_addstring(&out, t->device->name);
    luaL_addchar(&out, ' ');
    luaL_addstring(&out, dtype_name[t->dtype]);
    luaL_addchar(&out, ' ');
    luaL_addstring(&out, tensor_text(t));
  }
  luaL_pushresult(&out);
  return 1;
}

/* t:numel(): how many numbers it holds */
static int numel(lua_State *L) {
  lua_pushinteger(L, check_tensor(L, 1, "numel")->size);
  return 1;
}

/* Whether the function that indexes is the iterator of ipairs (upvalue 2), which ends at a nil. */
static int ipairs_asks(lua_State *L) {
  lua_Debug caller;
  if (!lua_getstack(L, 1, &caller) || !lua_getinfo(L, "f", &caller)) return 0;
  int same = lua_rawequal(L, -1, lua_upvalueindex(2));
  lua_pop(L, 1);
  return same;
}

/* t[i], 1-based: a number of a one-dimensional tensor (t:select(1, i) is its differentiable form), else a
 * tensor. Outside it is an error, but ipairs(t) ends after t[#t]. */
static int index_integer(lua_State *L, Tensor *t, lua_Integer i) {
  if (i == (t->rank ? t->shape[0] : 0) + 1 && ipairs_asks(L)) {
    lua_pushnil(L);
    return 1;
  }
  if (!t->rank) {
    fail("index: expected at least one dimension, found a scalar");
    return raise_error(L);
  }
  if (i < 1 || i > t->shape[0]) {
    fail("index: expected 1 to %ld, found %lld", t->shape[0], (long long)i);
    return raise_error(L);
  }
  if (t->rank == 1) {
    if (t->device->kind != DEVICE_CPU) { /* that number alone comes over */
      give_tensor(L, tensor_view(t, i - 1, 1, (long[]){1}));
      lua_replace(L, 1);
      i = 1;
    }
    t = readable(L, 1);
    push_element(L, t, i - 1);
    return 1;
  }
  if (t->var) {
    Tensor **h = push_tensor(L);
    *h = op_apply("select", &t, 1, (double[]){1, (double)i}, 2);
    return *h ? 1 : raise_error(L);
  }
  long step = t->shape[0] ? t->size / t->shape[0] : 0;
  return give_tensor(L, tensor_view(t, (i - 1) * step, t->rank - 1, t->shape + 1));
}

/* upvalue 1: methods (ops among them); upvalue 2: the iterator of ipairs */
static int index_(lua_State *L) {
  switch (lua_type(L, 2)) {
  case LUA_TNUMBER: {
    int isint;
    lua_Integer i = lua_tointegerx(L, 2, &isint);
    if (!isint) return refuse(L, "index: expected an integer, found %s", found(L, 2));
    return index_integer(L, check_tensor(L, 1, "index"), i);
  }
  case LUA_TTABLE: return region_slice(L);
  case LUA_TSTRING: break;
  default: return refuse(L, "index: expected a number, a table or a name, found %s", found(L, 2));
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *name = lua_tostring(L, 2);
  static const char *const fields[] = {"shape", "dtype", "device", "requires_grad", "grad"};
  int k = 0;
  while (k < 5 && strcmp(name, fields[k])) k++;
  if (k == 5) {
    lua_pushnil(L);
    return 1;
  }
  Tensor *t = check_tensor(L, 1, name);
  if (k == 0)
    push_shape(L, t);
  else if (k == 1)
    lua_pushstring(L, dtype_name[t->dtype]);
  else if (k == 2)
    lua_pushstring(L, t->device->name);
  else if (k == 3)
    lua_pushboolean(L, t->var != NULL);
  else
    push_grad(L, t);
  return 1;
}

static int set_requires_grad(lua_State *L, Tensor *t, int want) {
  if (want == (t->var != NULL)) return 0;
  if (want && !dtype_computes(t->dtype, t->device)) {
    fail("requires_grad: expected float32 or float64, found %s", dtype_name[t->dtype]);
    return raise_error(L);
  }
  if (!want && t->var->node) {
    fail("requires_grad: this tensor was computed from others that require a gradient; use :detach()");
    return raise_error(L);
  }
  Var *old = t->var;
  t->var = want ? var_new() : NULL;
  if (old) var_release(old);
  return want && !t->var ? raise_error(L) : 0;
}

static int set_grad(lua_State *L, Tensor *t) {
  Tensor *g = lua_isnil(L, 3) ? NULL : check_tensor(L, 3, "grad");
  if (!t->var || t->var->node) {
    fail("grad: expected a leaf that requires a gradient");
    return raise_error(L);
  }
  if (g && (g->dtype != t->dtype || !tensor_same_shape(g, t))) {
    fail("grad: expected %s %s, found %s %s", dtype_name[t->dtype], tensor_text(t), dtype_name[g->dtype],
         tensor_text(g));
    return raise_error(L);
  }
  if (g && g->device != t->device) {
    fail("grad: expected a tensor on %s, found one on %s", t->device->name, g->device->name);
    return raise_error(L);
  }
  Tensor *fresh = NULL;
  if (g && !(fresh = tensor_view(g, 0, g->rank, g->shape))) return raise_error(L);
  Tensor *old = t->var->grad;
  t->var->grad = fresh;
  tensor_release(old);
  return 0;
}

static int newindex(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "assignment");
  int type = lua_type(L, 2);
  if (type == LUA_TNUMBER || type == LUA_TTABLE) return region_assign(L, t, "assignment");
  const char *name = type == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (!strcmp(name, "requires_grad")) return set_requires_grad(L, t, lua_toboolean(L, 3));
  if (!strcmp(name, "grad")) return set_grad(L, t);
  return refuse(L, "tensor: expected one of the fields requires_grad, grad, found %s", found(L, 2));
}

/* ---- values and the tape ---- */

static int detach(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "detach");
  return give_tensor(L, tensor_view(t, 0, t->rank, t->shape));
}

static int cast(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "to");
  return give_tensor(L, tensor_cast(t, check_dtype(L, 2)));
}

/* t:move(device): t's values there, without a graph */
static int move(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "to");
  return give_tensor(L, tensor_to(t, check_device(L, 2)));
}

/* t:backward(gradient?, { retain_graph = false }) */
static int backward(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "backward"), *g = NULL;
  int options = 2, retain = 0;
  if (to_handle(L, 2))
    g = check_tensor(L, 2, "backward: gradient"), options = 3;
  else if (lua_isnil(L, 2))
    options = 3;
  if (lua_istable(L, options)) {
    lua_getfield(L, options, "retain_graph");
    retain = lua_toboolean(L, -1);
  } else if (!lua_isnoneornil(L, options))
    return refuse(L, "backward: expected (gradient, { retain_graph }), found %s", found(L, options));
  lua_State *before = function_caller(L);
  long event = profiling ? profile_begin("backward", EVENT_SCOPE) : -1;
  collect_for_backward(L);
  int ok = graph_backward(t, g, retain);
  profile_end(event);
  function_caller(before);
  return ok ? 0 : raise_error(L);
}

static int grad_enabled(lua_State *L) {
  lua_pushboolean(L, graph_enabled());
  return 1;
}

/* own(t, ...): none of these shares its storage any more, so that the next write to it needs no memory */
static int own(lua_State *L) {
  for (int i = 1, n = lua_gettop(L); i <= n; i++)
    if (!tensor_write(check_tensor(L, i, "own"))) return raise_error(L);
  return 0;
}

static int is_leaf(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "is_leaf");
  lua_pushboolean(L, !t->var || !t->var->node);
  return 1;
}

static int is_tensor(lua_State *L) {
  lua_pushboolean(L, to_handle(L, 1) != NULL);
  return 1;
}

static void push_stats(lua_State *L, MemoryStats m) {
  lua_createtable(L, 0, 5);
  const struct {
    const char *name;
    size_t value;
  } field[] = {
      {"live", m.live}, {"peak", m.peak}, {"cached", m.cached}, {"limit", m.limit}, {"graphs", m.graphs}};
  for (int i = 0; i < 5; i++) {
    lua_pushinteger(L, (lua_Integer)field[i].value);
    lua_setfield(L, -2, field[i].name);
  }
}

/* memory{ limit = bytes, reset_peak = true, empty_cache = true } → { live, peak, cached, limit, graphs } in bytes, and under
 * their names the same of GPUs that were asked for */
static int memory(lua_State *L) {
  if (lua_istable(L, 1)) {
    if (lua_getfield(L, 1, "limit") != LUA_TNIL) {
      double limit = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
      if (!(limit >= 1 && limit < 0x1p62))
        return refuse(L, "memory: limit: expected bytes above 0, found %s", found(L, lua_gettop(L)));
      memory_set_limit((size_t)limit);
    }
    lua_getfield(L, 1, "reset_peak");
    if (lua_toboolean(L, -1)) {
      memory_reset_peak();
      for (int i = 0; device_opened(i); i++) device_opened(i)->reset_peak(device_opened(i));
    }
    lua_getfield(L, 1, "empty_cache");
    if (lua_toboolean(L, -1)) memory_empty_cache(), scratch_empty();
  }
  push_stats(L, memory_stats());
  for (int i = 0; device_opened(i); i++) {
    Device *d = device_opened(i);
    push_stats(L, d->memory(d));
    lua_setfield(L, -2, d->name);
  }
  return 1;
}

/* Into the list on top of the stack. */
static void push_device(lua_State *L, const char *name, DeviceKind kind, int index, MemoryStats memory) {
  lua_createtable(L, 0, 6);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, device_kind_name[kind]);
  lua_setfield(L, -2, "kind");
  lua_pushinteger(L, index);
  lua_setfield(L, -2, "index");
  push_stats(L, memory);
  lua_setfield(L, -2, "memory");
  if (kind == DEVICE_CUDA) {
    lua_pushstring(L, device_module(kind)->label(index));
    lua_setfield(L, -2, "label");
    lua_pushinteger(L, *device_module(kind)->launches);
    lua_setfield(L, -2, "launches");
  }
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* A GPU, which is not opened for that: a process that only looks takes none of its memory. */
static void push_gpu(lua_State *L, const DeviceModule *m, int index) {
  char name[32];
  for (int i = 0; device_opened(i); i++) {
    Device *d = device_opened(i);
    if (d->index == index) return push_device(L, d->name, d->kind, index, d->memory(d));
  }
  snprintf(name, sizeof name, index ? "%s:%d" : "%s", device_kind_name[DEVICE_CUDA], index);
  push_device(L, name, DEVICE_CUDA, index, (MemoryStats){.limit = m->bytes(index)});
}

/* devices() → list { name, kind, index, memory = { live, peak, cached, limit, graphs } } of what there is; of GPUs also
 * `label`, which tells name, memory and compute capability, and `launches`: kernels started so far, on all of them */
static int devices(lua_State *L) {
  const DeviceModule *m = device_module(DEVICE_CUDA);
  Device *guard = device_guarded();
  lua_newtable(L);
  push_device(L, device_cpu()->name, DEVICE_CPU, 0, memory_stats());
  if (guard) push_device(L, guard->name, guard->kind, guard->index, guard->memory(guard));
  for (int i = 0; m && i < m->count; i++) push_gpu(L, m, i);
  return 1;
}

/* cuda() → the versions of CUDA and its driver, and why there is no GPU (nil where there is one); nil and why for a
 * build without CUDA. */
static int cuda(lua_State *L) {
  const DeviceModule *m = device_module(DEVICE_CUDA);
  lua_pushstring(L, m ? m->software : NULL);
  lua_pushstring(L, !m ? error_message() : m->count ? NULL : m->why);
  return 2;
}

/* range(name, f, ...) → what f(...) returns; a GPU's profiler shows it under this name (an error leaves it open) */
static int range(lua_State *L) {
  const char *name = check_text(L, 1, "range");
  if (!lua_isfunction(L, 2)) return refuse(L, "range: expected a function, found %s", found(L, 2));
  device_begin(name);
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  device_end();
  return lua_gettop(L) - 1;
}

/* tf32(on): whether convolutions on a GPU may round float32 to TF32 */
static int tf32(lua_State *L) {
  device_tf32 = lua_toboolean(L, 1);
  return 0;
}

/* detect_anomaly(on) → whether it was on: the first op that makes a NaN raises, with its name */
static int detect_anomaly(lua_State *L) {
  lua_pushboolean(L, detecting_anomaly);
  detecting_anomaly = lua_toboolean(L, 1);
  return 1;
}

static int threads(lua_State *L) {
  if (!lua_isnoneornil(L, 1) &&
      !pool_resize((long)check_whole(L, 1, "threads", LUA_MININTEGER, LUA_MAXINTEGER)))
    return raise_error(L);
  lua_pushinteger(L, pool_threads());
  return 1;
}

static void collect(void *L) { lua_gc(L, LUA_GCCOLLECT); }

void open_tensor(lua_State *L) { /* stack: module */
  luaL_newmetatable(L, TENSOR_META);
  static const luaL_Reg meta[] = {{"__gc", handle_gc},
                                  {"__close", handle_close},
                                  {"__len", length},
                                  {"__newindex", newindex},
                                  {NULL, NULL}};
  luaL_setfuncs(L, meta, 0);
  lua_newtable(L); /* module meta methods */
  static const luaL_Reg methods[] = {
      {"item", tensor_item}, {"numel", numel},    {"totable", totable},   {"detach", detach},
      {"move", move},        {"cast_data", cast}, {"backward", backward}, {"close", handle_close},
      {"is_leaf", is_leaf},  {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
  open_regions(L);
  lua_pushvalue(L, -1);
  lua_getglobal(L, "ipairs");
  lua_newtable(L);
  lua_call(L, 1, 1); /* its iterator */
  lua_pushcclosure(L, index_, 2);
  lua_setfield(L, -3, "__index");
  lua_setfield(L, -3, "methods");
  lua_setfield(L, -2, "meta");
  static const luaL_Reg functions[] = {{"grad_enabled", grad_enabled},
                                       {"is_tensor", is_tensor},
                                       {"signature", signature},
                                       {"own", own},
                                       {"memory", memory},
                                       {"range", range},
                                       {"threads", threads},
                                       {"devices", devices},
                                       {"cuda", cuda},
                                       {"tf32", tf32},
                                       {"detect_anomaly", detect_anomaly},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  open_makers(L);
  open_scopes(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  memory_set_reclaim(collect, lua_tothread(L, -1));
  lua_pop(L, 1);
}
