/* One binding for every op: co.NAME(tensors..., parameters..., { name = value }) and t:NAME(...). The
 * argument list of the op's descriptor says what goes where; a number where a tensor is expected becomes a
 * scalar. */
#include "ops/engine.h"

#include "core/random.h"
#include "lua/handle.h"
#include "ops/args.h"

#include <limits.h>
#include <string.h>

/* A rank-0 tensor of the dtype that the other tensors of the call have. */
static Tensor *scalar(double v, Dtype dtype) {
  Tensor *t = tensor_new(dtype, 0, NULL);
  if (!t) return NULL;
  if (dtype == F64)
    *(double *)t->storage->data = v;
  else
    *(float *)t->storage->data = (float)v;
  return t;
}

static Dtype dtype_of_tensors(lua_State *L, int n) {
  for (int i = 1; i <= n; i++) {
    Tensor *t = to_tensor(L, i);
    if (t && t->dtype == F64) return F64;
  }
  return F32;
}

/* The integer at i: that of a parameter, or entry k of one that is a list (0: the parameter itself). Nothing
 * is rounded: fractions, NaN, infinities and what float64 cannot count are refused. */
static long read_integer(lua_State *L, int i, const OpInfo *info, int which, lua_Integer k) {
  int whole = 0;
  lua_Integer n = lua_type(L, i) == LUA_TNUMBER ? lua_tointegerx(L, i, &whole) : 0;
  if (whole && n >= -INTEGER_MAX && n <= INTEGER_MAX) return (long)n;
  const char *entry = k ? lua_pushfstring(L, "[%I]", k) : "";
  return refuse(L, "%s: %s%s: expected an integer%s, found %s", info->op->name, info->arg_name[which], entry,
                whole ? " within 2^53" : "", found_for(L, i, LUA_TNUMBER));
}

static void check_count(lua_State *L, lua_Integer n, const OpInfo *info, int which) {
  if (n > ARG_LIST)
    refuse(L, "%s: %s: expected at most %d entries, found %I", info->op->name, info->arg_name[which],
           ARG_LIST, n);
}

/* The name at i as a choice of parameter `which`; false where it is no string. Others are refused. */
static bool read_name(lua_State *L, int i, const OpInfo *info, Arg *a, int which) {
  char choices[128];
  size_t length;
  bool only = info->kind[which] == KIND_CHOICE;
  if (lua_type(L, i) != LUA_TSTRING && !only) return false;
  const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tolstring(L, i, &length) : NULL;
  int k = name ? args_choice(info, which, name, length) : -1;
  if (k >= 0) {
    *a = (Arg){.given = true, .name = k + 1, .n = k, .list = {k}};
    return true;
  }
  args_choices_text(info, which, choices, sizeof choices);
  return refuse(L, "%s: %s: expected %s%s, found %s", info->op->name, info->arg_name[which],
                only ? "" : "integers or ", choices, found(L, i));
}

/* Dimensions and positions count from 1 in Lua and pass through as they are: ops decide. */
static void read_value(lua_State *L, int i, const OpInfo *info, Arg *a, int which) {
  static const char *const expected[] = {"a number", "true or false", "a list of integers", "a number"};
  int type = lua_type(L, i), kind = info->kind[which];
  if (type == LUA_TNIL) {
    *a = info->preset[which];
    return;
  }
  if (info->choices[which] && read_name(L, i, info, a, which)) return;
  *a = (Arg){.given = true, .count = 1};
  if (kind == KIND_BOOL && type == LUA_TBOOLEAN)
    a->n = a->list[0] = lua_toboolean(L, i);
  else if (kind == KIND_LIST && type == LUA_TTABLE) {
    a->count = 0;
    check_count(L, (lua_Integer)lua_rawlen(L, i), info, which);
    for (lua_Integer k = 1, n = (lua_Integer)lua_rawlen(L, i); k <= n; k++) {
      lua_rawgeti(L, i, k);
      a->list[a->count++] = read_integer(L, lua_gettop(L), info, which, k);
      lua_pop(L, 1);
    }
    a->n = (double)a->list[0];
  } else if (info->whole[which] || (kind == KIND_LIST && type == LUA_TNUMBER))
    a->n = (double)(a->list[0] = read_integer(L, i, info, which, 0));
  else if ((kind == KIND_NUMBER || kind == KIND_NONE) && type == LUA_TNUMBER)
    a->n = lua_tonumber(L, i);
  else
    refuse(L, "%s: %s: expected %s, found %s", info->op->name, info->arg_name[which], expected[kind],
           found_for(L, i,
                     kind == KIND_BOOL   ? LUA_TBOOLEAN
                     : kind == KIND_LIST ? LUA_TTABLE
                                         : LUA_TNUMBER));
}

/* t:reshape(2, 3): the numbers from i to last, where the op's only parameter is a list. Returns how many. */
static int read_spread(lua_State *L, int i, int last, const OpInfo *info, Arg *a) {
  int n = last - i + 1;
  if (info->narg != 1 || info->kind[0] != KIND_LIST || n < 2) return 0;
  check_count(L, n, info, 0);
  *a = (Arg){.given = true, .count = n};
  for (int k = 0; k < n; k++) a->list[k] = read_integer(L, i + k, info, 0, k + 1);
  a->n = (double)a->list[0];
  return n;
}

/* The trailing { name = value } table. */
static void read_named(lua_State *L, int i, const OpInfo *info, Call *c) {
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) { /* ... key value */
    int k = 0;
    if (lua_type(L, -2) == LUA_TSTRING)
      while (k < info->narg && strcmp(info->arg_name[k], lua_tostring(L, -2))) k++;
    else
      k = info->narg;
    if (k == info->narg)
      refuse(L, "%s: expected one of its parameters (%s), found %s", info->op->name, info->op->args,
             found(L, lua_gettop(L) - 1));
    read_value(L, lua_gettop(L), info, &c->arg[k], k);
  }
}

/* A table with names, or an empty one where no list could be meant. */
static int is_options(lua_State *L, int i, const OpInfo *info) {
  if (lua_type(L, i) != LUA_TTABLE) return 0;
  lua_pushnil(L);
  if (!lua_next(L, i)) {
    int lists = info->variadic;
    for (int k = 0; k < info->narg; k++) lists = lists || info->kind[k] == KIND_LIST;
    return !lists;
  }
  int named = lua_type(L, -2) == LUA_TSTRING;
  lua_pop(L, 2);
  return named;
}

/* The tensor at i, for input k. */
static Tensor *read_input(lua_State *L, const OpInfo *info, int k, int i) {
  Tensor *t = to_tensor(L, i);
  if (t) return t;
  if (!to_handle(L, i))
    refuse(L, "%s: %s: expected a tensor, found %s", info->op->name, info->in_name[k], luaL_typename(L, i));
  return check_tensor(L, i, lua_pushfstring(L, "%s: %s", info->op->name, info->in_name[k])); /* closed */
}

/* The tensors of "inputs...": one table of them, or all tensors in front. Returns the next stack index. */
static int read_variadic(lua_State *L, const OpInfo *info, Call *c) {
  int list = lua_type(L, 1) == LUA_TTABLE, i = 1;
  for (;; i++) {
    if (list)
      lua_rawgeti(L, 1, i);
    else
      lua_pushvalue(L, i);
    if (lua_isnil(L, -1) || (!list && !to_handle(L, -1))) {
      lua_pop(L, 1);
      break;
    }
    Tensor *t = read_input(L, info, 0, lua_gettop(L));
    lua_pop(L, 1);
    if (c->nin == OP_IN) refuse(L, "%s: expected at most %d tensors at once", info->op->name, OP_IN);
    c->in[c->nin++] = t;
  }
  return list ? 2 : i;
}

/* Pushes the results of a call: exactly as many handles as there are,
 * since each is work for the collector. */
static int push_outputs(lua_State *L) {
  Call *c = lua_touserdata(L, 1);
  luaL_checkstack(L, OP_OUT, NULL);
  for (int k = 0; k < c->nout; k++) {
    Tensor **out = push_tensor(L);
    *out = c->out[k];
    c->out[k] = NULL;
  }
  return c->nout;
}

static int give_outputs(lua_State *L, Call *c) {
  if (!c->nout) return 0;
  lua_pushcfunction(L, push_outputs);
  lua_pushlightuserdata(L, c);
  if (lua_pcall(L, 1, c->nout, 0) == LUA_OK) return c->nout;
  for (int k = 0; k < c->nout; k++) tensor_release(c->out[k]); /* Lua itself has no memory left */
  return lua_error(L);
}

static int call_op(lua_State *L) {
  const OpInfo *info = lua_touserdata(L, lua_upvalueindex(1));
  int n = lua_gettop(L), last = n, i = 1;
  Call c;
  op_begin(info, &c);
  if (last > 0 && is_options(L, last, info)) read_named(L, last--, info, &c);
  if (info->variadic) i = read_variadic(L, info, &c);
  for (int k = 0; !info->variadic && k < info->nin; k++) {
    if (i <= last && to_handle(L, i))
      c.in[k] = read_input(L, info, k, i++);
    else if (i <= last && lua_type(L, i) == LUA_TNUMBER && !info->optional[k]) {
      Tensor **s = push_tensor(L);
      if (!(*s = scalar(lua_tonumber(L, i++), dtype_of_tensors(L, n)))) return raise_error(L);
      c.in[k] = *s;
    } else if (!info->optional[k])
      read_input(L, info, k, i); /* raises */
    else if (i <= last && lua_isnil(L, i))
      i++;
  }
  i += read_spread(L, i, last, info, &c.arg[0]);
  for (int k = 0; i <= last; i++, k++) {
    if (k >= info->narg)
      return refuse(L, "%s: expected (%s), found %d arguments", info->op->name, info->op->args, n);
    read_value(L, i, info, &c.arg[k], k);
  }
  collect_for_op(L);
  if (!op_run(info, &c)) return raise_error(L);
  return give_outputs(L, &c);
}

/* ---- many calls at once ---- */

/* The parameters of an op from stack index i on, by position. */
static void read_parameters(lua_State *L, int i, const OpInfo *info, Call *c) {
  op_begin(info, c);
  for (int k = 0; k < info->narg; k++)
    if (!lua_isnoneornil(L, i + k)) read_value(L, i + k, info, &c->arg[k], k);
}

/* Which tensors row `row` has, from the lists in the table at 1; false where one of them has false there. */
static bool read_row(lua_State *L, const OpInfo *info, lua_Integer row, Tensor **in) {
  bool there = true;
  for (int k = 0; k < info->nin && there; k++) {
    in[k] = NULL;
    if (lua_rawgeti(L, 1, k + 1) == LUA_TTABLE) {
      lua_rawgeti(L, -1, row);
      there = lua_toboolean(L, -1);
      if (there) in[k] = read_input(L, info, k, lua_gettop(L));
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  return there;
}

/* each({ first operands, second operands, … }, numbers or nil, parameters …): the op on every row of operands, but on
 * those that have false for one. A list that is absent is an operand that is. */
static int call_each(lua_State *L) {
  const OpInfo *info = lua_touserdata(L, lua_upvalueindex(1));
  Call c;
  check_table(L, 1, info->op->name);
  Tensor *numbers = to_tensor(L, 2);
  read_parameters(L, 3, info, &c);
  lua_rawgeti(L, 1, 1);
  long n = check_list(L, -1, info->in_name[0], INT_MAX / OP_IN), rows = 0;
  Tensor **in = lua_newuserdatauv(L, (size_t)(n * info->nin + 1) * sizeof *in, 0);
  for (long i = 1; i <= n; i++) rows += read_row(L, info, i, in + rows * info->nin);
  collect_for_op(L);
  return op_run_each(info, &c, in, (int)rows, numbers) ? 0 : raise_error(L);
}

/* numbers(t, parameters …): what they come to, into a tensor that each() takes. */
static int write_numbers(lua_State *L) {
  const OpInfo *info = lua_touserdata(L, lua_upvalueindex(1));
  Call c;
  read_parameters(L, 2, info, &c);
  return op_write_numbers(info, &c, check_tensor(L, 1, "numbers")) ? 0 : raise_error(L);
}

/* core.op_sample(name, variant, seed, wide) → { inputs (false: absent) }, { name = value }, or nil when no
 * such variant: what the generated tests run on */
static int sample(lua_State *L) {
  const OpInfo *info = op_find(luaL_checkstring(L, 1));
  if (!info) return luaL_error(L, "op_sample: no op is called %s", lua_tostring(L, 1));
  int variant = (int)luaL_checkinteger(L, 2);
  Random r;
  random_start(&r, (uint64_t)luaL_optinteger(L, 3, 0), 0);
  Call c;
  lua_createtable(L, OP_IN, 0);
  Tensor **h[OP_IN];
  luaL_checkstack(L, OP_IN + 4, NULL);
  for (int i = 0; i < OP_IN; i++) h[i] = push_tensor(L);
  int got = op_sample(info, &c, &r, variant, lua_toboolean(L, 4));
  if (got < 0) return 0;
  if (!got) return raise_error(L);
  for (int i = 0; i < OP_IN; i++) *h[i] = c.in[i];
  int table = lua_gettop(L) - OP_IN;
  for (int i = OP_IN; i >= 1; i--) {
    if (i > c.nin)
      lua_pop(L, 1);
    else {
      if (!*h[i - 1]) {
        lua_pop(L, 1);
        lua_pushboolean(L, 0);
      }
      lua_rawseti(L, table, i);
    }
  }
  lua_createtable(L, 0, info->narg);
  for (int k = 0; k < info->narg; k++) {
    const Arg *a = &c.arg[k];
    if (!a->given) continue;
    size_t length;
    const char *name = a->name ? args_choice_name(info, k, a->name - 1, &length) : NULL;
    if (name)
      lua_pushlstring(L, name, length);
    else if (info->kind[k] == KIND_LIST) {
      lua_createtable(L, a->count, 0);
      for (int e = 0; e < a->count; e++) {
        lua_pushinteger(L, a->list[e]);
        lua_rawseti(L, -2, e + 1);
      }
    } else if (info->kind[k] == KIND_BOOL)
      lua_pushboolean(L, a->n != 0);
    else
      lua_pushnumber(L, a->n);
    lua_setfield(L, -2, info->arg_name[k]);
  }
  return 2;
}

static void set_function(lua_State *L, const OpInfo *info, lua_CFunction f, const char *name) {
  lua_pushlightuserdata(L, (void *)info);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}

/* core.ops: name → { call, args, doc, differentiable, inputs, variadic, mutates; of updates: each, numbers }
 * core.op_numbers: how many numbers the latter writes */
void open_ops(lua_State *L) {
  lua_createtable(L, 0, op_count());
  for (int i = 0; i < op_count(); i++) {
    const OpInfo *info = op_info(i);
    lua_createtable(L, 0, 7);
    set_function(L, info, call_op, "call");
    if (info->op->numbers) {
      set_function(L, info, call_each, "each");
      set_function(L, info, write_numbers, "numbers");
    }
    lua_pushstring(L, info->op->args);
    lua_setfield(L, -2, "args");
    lua_pushstring(L, info->op->doc);
    lua_setfield(L, -2, "doc");
    lua_pushboolean(L, info->differentiable);
    lua_setfield(L, -2, "differentiable");
    lua_pushinteger(L, info->nin);
    lua_setfield(L, -2, "inputs");
    lua_pushboolean(L, info->variadic);
    lua_setfield(L, -2, "variadic");
    lua_pushinteger(L, info->op->mutates);
    lua_setfield(L, -2, "mutates");
    lua_setfield(L, -2, info->op->name);
  }
  lua_setfield(L, -2, "ops");
  lua_pushinteger(L, OP_NUMBERS);
  lua_setfield(L, -2, "op_numbers");
  lua_pushcfunction(L, sample);
  lua_setfield(L, -2, "op_sample");
}
