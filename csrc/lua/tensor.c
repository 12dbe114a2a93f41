/* Tensors in Lua: making them, looking at them, indexing, assigning, walking the tape. What ops do is in
 * op.c. */
#include "core/device.h"
#include "core/graph.h"
#include "core/memory.h"
#include "core/pool.h"
#include "core/profile.h"
#include "lua/function.h"
#include "lua/handle.h"
#include "lua/tensor.h"
#include "ops/engine.h"

#include <limits.h>
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

static int is_half(const Tensor *t) { return t->dtype == BF16 || t->dtype == F16; }

/* The tensor at argument i, on the CPU and half types widened, so that its elements can be read. */
static Tensor *readable(lua_State *L, int i) {
  Tensor *t = check_host(L, i, "tensor");
  if (!is_half(t)) return t;
  Tensor **h = push_tensor(L);
  *h = tensor_cast(t, F32);
  if (!*h) raise_error(L);
  return *h;
}

static int item(lua_State *L) {
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
  return give_tensor(L, tensor_view(g, 0, g->rank, g->shape));
}

static int length(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "tensor");
  lua_pushinteger(L, t->rank ? t->shape[0] : 0);
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

/* upvalue 1: methods (ops among them); its `slice` serves t[{...}]; upvalue 2: the iterator of ipairs */
static int index_(lua_State *L) {
  switch (lua_type(L, 2)) {
  case LUA_TNUMBER: {
    int isint;
    lua_Integer i = lua_tointegerx(L, 2, &isint);
    if (!isint) return refuse(L, "index: expected an integer, found %s", found(L, 2));
    return index_integer(L, check_tensor(L, 1, "index"), i);
  }
  case LUA_TTABLE:
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_getfield(L, -1, "slice");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    return 1;
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
  if (want && !dtype_is_real(t->dtype)) {
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

/* ---- t[...] = v ---- */

/* One entry per dimension of t: which part of it is meant. */
typedef struct Region {
  long start[RANK_MAX], count[RANK_MAX];
  bool single[RANK_MAX]; /* an index: this dimension is not one of the value's */
} Region;

static int read_bound(lua_State *L, long n, lua_Integer *at) {
  int isint = 0;
  *at = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &isint) : 0;
  lua_pop(L, 1);
  return isint && *at >= 1 && *at <= n;
}

static void read_region(lua_State *L, const Tensor *t, int key, Region *r) {
  lua_Integer n = lua_type(L, key) == LUA_TTABLE ? (lua_Integer)lua_rawlen(L, key) : 1;
  for (int d = 0; d < t->rank; d++) r->start[d] = 0, r->count[d] = t->shape[d], r->single[d] = false;
  if (n > t->rank)
    refuse(L, "index: expected at most %d entries for %s, found %I", t->rank, tensor_text(t), n);
  for (int d = 0; d < n; d++) {
    if (lua_type(L, key) == LUA_TTABLE)
      lua_rawgeti(L, key, d + 1);
    else
      lua_pushvalue(L, key);
    lua_Integer a, b;
    int ok = 1;
    if (lua_type(L, -1) == LUA_TTABLE) { /* {} or {a, b} */
      int entry = lua_gettop(L);
      if (lua_rawlen(L, entry)) {
        lua_rawgeti(L, entry, 1);
        ok = read_bound(L, t->shape[d], &a) && lua_rawlen(L, entry) == 2;
        lua_rawgeti(L, entry, 2);
        ok = ok && read_bound(L, t->shape[d], &b) && b >= a;
        if (ok) r->start[d] = a - 1, r->count[d] = b - a + 1;
      }
      lua_settop(L, entry - 1);
    } else {
      ok = read_bound(L, t->shape[d], &a);
      if (ok) r->start[d] = a - 1, r->count[d] = 1, r->single[d] = true;
    }
    if (!ok) refuse(L, "index: dimension %d: expected within 1 to %I", d + 1, (lua_Integer)t->shape[d]);
  }
}

/* Copies rows of the value (NULL: the one element at `one`, repeated) into the region. */
static void write_region(char *to, const char *from, const char *one, const Tensor *t, const Region *r) {
  size_t es = dtype_bytes[t->dtype];
  long stride[RANK_MAX + 1];
  stride[t->rank] = 1;
  for (int k = t->rank - 1; k >= 0; k--) stride[k] = stride[k + 1] * t->shape[k];
  long rows = 1, inner = t->rank ? r->count[t->rank - 1] : 1;
  for (int k = 0; k < t->rank - 1; k++) rows *= r->count[k];
  for (long row = 0; row < rows; row++) {
    long rest = row, at = t->rank ? r->start[t->rank - 1] : 0;
    for (int k = t->rank - 2; k >= 0; k--) {
      at += (r->start[k] + rest % r->count[k]) * stride[k + 1];
      rest /= r->count[k];
    }
    char *p = to + (size_t)at * es;
    if (from)
      memcpy(p, from + (size_t)(row * inner) * es, (size_t)inner * es);
    else
      for (long i = 0; i < inner; i++) memcpy(p + (size_t)i * es, one, es);
  }
}

/* Writes v, of t's dtype, into the region: as a whole on the device itself; a part of what is elsewhere comes over
 * and goes back. */
static int write_on(Tensor *t, const Region *r, Tensor *v, long need) {
  Device *d = t->device;
  if (need == t->size && v->size != 1) {
    void *to = tensor_write(t);
    return to && device_copy(d, to, v->device, tensor_data(v), tensor_bytes(t));
  }
  Tensor *value = tensor_to(v, device_cpu()), *all = value ? tensor_to(t, device_cpu()) : NULL;
  void *to = all ? tensor_write(t) : NULL; /* after the value was read: it may share this storage */
  int ok = to != NULL;
  if (ok && need == t->size)
    ok = d->fill(d, to, tensor_data(value), dtype_bytes[t->dtype], t->size);
  else if (ok) {
    const char *from = tensor_data(value);
    char *part = tensor_write(all);
    ok = part != NULL;
    if (ok) write_region(part, v->size == 1 ? NULL : from, from, t, r);
    ok = ok && device_copy(d, to, device_cpu(), part, tensor_bytes(t));
  }
  tensor_release(value);
  tensor_release(all);
  return ok;
}

/* what: whose failure it is */
static int assign(lua_State *L, Tensor *t, const char *what) {
  Region r;
  if (t->var && t->var->node) {
    fail("%s: this tensor is part of a graph; write to its :detach(), or use co.where", what);
    return raise_error(L);
  }
  read_region(L, t, 2, &r);
  long need = 1, shape[RANK_MAX];
  int rank = 0;
  for (int d = 0; d < t->rank; d++) {
    need *= r.count[d];
    if (!r.single[d]) shape[rank++] = r.count[d];
  }
  Tensor *v = to_tensor(L, 3);
  if (!v && lua_type(L, 3) != LUA_TNUMBER) v = check_tensor(L, 3, what);
  Tensor **cast = push_tensor(L);
  if (v && v->size != 1 && (v->rank != rank || memcmp(v->shape, shape, sizeof(long) * (size_t)rank))) {
    fail("%s: expected a number or %s, found %s", what, shape_text(rank, shape), tensor_text(v));
    return raise_error(L);
  }
  if (!v) {
    Tensor **number = push_tensor(L);
    if (!(*number = tensor_new(F64, 0, NULL))) return raise_error(L);
    *(double *)(*number)->storage->data = lua_tonumber(L, 3);
    v = *number;
  }
  if (!(*cast = tensor_cast(v, t->dtype))) return raise_error(L);
  if (!need) return 0;
  if (t->device->kind != DEVICE_CPU || (*cast)->device->kind != DEVICE_CPU)
    return write_on(t, &r, *cast, need) ? 0 : raise_error(L);
  char *to = tensor_write(t); /* after the value was read: it may share this storage */
  if (!to) return raise_error(L);
  const char *from = tensor_data(*cast);
  write_region(to, v->size == 1 ? NULL : from, from, t, &r);
  return 0;
}

static int newindex(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "assignment");
  int type = lua_type(L, 2);
  if (type == LUA_TNUMBER || type == LUA_TTABLE) return assign(L, t, "assignment");
  const char *name = type == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (!strcmp(name, "requires_grad")) return set_requires_grad(L, t, lua_toboolean(L, 3));
  if (!strcmp(name, "grad")) return set_grad(L, t);
  return refuse(L, "tensor: expected one of the fields requires_grad, grad, found %s", found(L, 2));
}

/* t[{}] = v, with v at 2, → t */
static int assign_all(lua_State *L, Tensor *t, const char *what) {
  lua_settop(L, 2);
  lua_newtable(L);
  lua_insert(L, 2);
  assign(L, t, what); /* stack: t, {}, v */
  lua_settop(L, 1);
  return 1;
}

/* t:fill(v) → t */
static int fill(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "fill");
  if (to_handle(L, 2))
    return refuse(L, "fill: expected a number, found %s (t:copy takes tensors)", found(L, 2));
  check_number(L, 2, "fill");
  return assign_all(L, t, "fill");
}

/* t:copy(v) → t, now with the numbers of v, in its own dtype: a tensor of t's shape, one element or a number */
static int copy(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "copy");
  if (lua_type(L, 2) != LUA_TNUMBER) check_tensor(L, 2, "copy");
  return assign_all(L, t, "copy");
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
  lua_createtable(L, 0, 4);
  const struct {
    const char *name;
    size_t value;
  } field[] = {{"live", m.live}, {"peak", m.peak}, {"cached", m.cached}, {"limit", m.limit}};
  for (int i = 0; i < 4; i++) {
    lua_pushinteger(L, (lua_Integer)field[i].value);
    lua_setfield(L, -2, field[i].name);
  }
}

/* memory{ limit = bytes, reset_peak = true, empty_cache = true } → { live, peak, cached, limit } in bytes */
static int memory(lua_State *L) {
  if (lua_istable(L, 1)) {
    if (lua_getfield(L, 1, "limit") != LUA_TNIL) {
      double limit = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
      if (!(limit >= 1 && limit < 0x1p62))
        return refuse(L, "memory: limit: expected bytes above 0, found %s", found(L, lua_gettop(L)));
      memory_set_limit((size_t)limit);
    }
    lua_getfield(L, 1, "reset_peak");
    if (lua_toboolean(L, -1)) memory_reset_peak();
    lua_getfield(L, 1, "empty_cache");
    if (lua_toboolean(L, -1)) memory_empty_cache(), scratch_empty();
  }
  push_stats(L, memory_stats());
  return 1;
}

/* devices() → list { name, kind, index, memory = { live, peak, cached, limit } } of what there is; of GPUs also
 * `label`, which tells name, memory and compute capability */
static int devices(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; device_at(i); i++) {
    Device *d = device_at(i);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, d->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, device_kind_name[d->kind]);
    lua_setfield(L, -2, "kind");
    lua_pushinteger(L, d->index);
    lua_setfield(L, -2, "index");
    push_stats(L, d->memory(d));
    lua_setfield(L, -2, "memory");
    if (d->kind == DEVICE_CUDA) {
      lua_pushstring(L, device_module(DEVICE_CUDA)->label(d->index));
      lua_setfield(L, -2, "label");
    }
    lua_rawseti(L, -2, i + 1);
  }
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
      {"item", item},          {"totable", totable}, {"fill", fill},      {"copy", copy},
      {"detach", detach},      {"move", move},       {"cast_data", cast}, {"backward", backward},
      {"close", handle_close}, {"is_leaf", is_leaf}, {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_getglobal(L, "ipairs");
  lua_newtable(L);
  lua_call(L, 1, 1); /* its iterator */
  lua_pushcclosure(L, index_, 2);
  lua_setfield(L, -3, "__index");
  lua_setfield(L, -3, "methods");
  lua_setfield(L, -2, "meta");
  static const luaL_Reg functions[] = {
      {"grad_enabled", grad_enabled}, {"is_tensor", is_tensor}, {"own", own},   {"memory", memory},
      {"threads", threads},           {"devices", devices},     {"cuda", cuda}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  open_makers(L);
  open_scopes(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  memory_set_reclaim(collect, lua_tothread(L, -1));
  lua_pop(L, 1);
}
