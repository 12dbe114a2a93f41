/* core.algos: the table of csrc/backend/conv_algo.h as Lua tables. A row of rows() and set(rows):
 *
 *   { task = "convolution" | "weight_gradient" | "upconv2d", shape = { images, height, … },
 *     method = NAME } */
#include "backend/conv_algo.h"
#include "lua/lib.h"

#include <limits.h>
#include <string.h>

static void set_text(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static int size_count(long task) {
  int n = 0;
  while (n < ALGO_SIZES && algo_sizes[task][n]) n++;
  return n;
}

/* rows() → list of rows; those that were measured have usual = the rule's method, and times = { method =
 * seconds } beside. */
static int rows(lua_State *L) {
  AlgoRow r;
  lua_newtable(L);
  for (long i = 0; algo_row(i, &r); i++) {
    long task = r.key.task;
    lua_createtable(L, 0, 5);
    set_text(L, "task", algo_tasks[task]);
    set_text(L, "method", algo_methods[task][r.method]);
    lua_newtable(L);
    for (int k = 0; k < size_count(task); k++) {
      lua_pushinteger(L, r.key.size[k]);
      lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "shape");
    if (r.usual >= 0) {
      set_text(L, "usual", algo_methods[task][r.usual]);
      lua_newtable(L);
      for (int m = 0; m < ALGO_METHODS; m++) {
        if (r.time[m] <= 0) continue;
        lua_pushnumber(L, r.time[m]);
        lua_setfield(L, -2, algo_methods[task][m]);
      }
      lua_setfield(L, -2, "times");
    }
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* The place of the name in field `key` of the row at the top of the stack; raises when it is none of them. */
static int name_of(lua_State *L, long row, const char *key, const char *const *names, int n) {
  lua_getfield(L, -1, key);
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  luaL_Buffer text;
  for (int i = 0; i < n && names[i]; i++)
    if (name && !strcmp(names[i], name)) {
      lua_pop(L, 1);
      return i;
    }
  if (!name) name = luaL_typename(L, -1);
  luaL_buffinit(L, &text);
  for (int i = 0; i < n && names[i]; i++) {
    if (i) luaL_addstring(&text, i + 1 < n && names[i + 1] ? ", " : " or ");
    luaL_addstring(&text, names[i]);
  }
  luaL_pushresult(&text);
  return refuse(L, "algos: row %d: %s: expected %s, found %s", (int)row, key, lua_tostring(L, -1), name);
}

/* The row at the top of the stack. */
static AlgoKey read_row(lua_State *L, long row, int *method) {
  AlgoKey key = {0};
  if (!lua_istable(L, -1))
    refuse(L, "algos: row %d: expected { task, shape, method }, found %s", (int)row, luaL_typename(L, -1));
  key.task = name_of(L, row, "task", algo_tasks, ALGO_TASKS);
  *method = name_of(L, row, "method", algo_methods[key.task], ALGO_METHODS);
  int n = size_count(key.task);
  if (lua_getfield(L, -1, "shape") != LUA_TTABLE || (int)lua_rawlen(L, -1) != n)
    refuse(L, "algos: row %d: shape: expected %d integers, found %s", (int)row, n,
           lua_istable(L, -1) ? lua_pushfstring(L, "%d", (int)lua_rawlen(L, -1)) : luaL_typename(L, -1));
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, -1, k + 1);
    const char *what = lua_pushfstring(L, "algos: row %d: %s", (int)row, algo_sizes[key.task][k]);
    key.size[k] = (long)check_whole(L, -2, what, LUA_MININTEGER, LUA_MAXINTEGER);
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  return key;
}

/* set(rows): from now on these, and no others; a row whose method does not fit its shape has no effect.
 * add(rows): these too. All rows are read before any counts. */
static int put(lua_State *L, bool only) {
  long n = check_list(L, 1, "algos", INT_MAX);
  AlgoKey *keys = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *keys, 0);
  int *methods = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *methods, 0);
  for (long i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    keys[i] = read_row(L, i + 1, &methods[i]);
    lua_pop(L, 1);
  }
  if (only) algo_clear();
  for (long i = 0; i < n; i++)
    if (!algo_set(&keys[i], methods[i])) return raise_error(L);
  return 0;
}

static int set(lua_State *L) { return put(L, true); }
static int add(lua_State *L) { return put(L, false); }

/* autotune(on): starts or ends tuning. */
static int autotune(lua_State *L) {
  algo_autotune(lua_toboolean(L, 1));
  return 0;
}

/* trials() → how often each method of every shape met since autotune(true) was tried at least. */
static int trials(lua_State *L) {
  lua_pushinteger(L, algo_trials());
  return 1;
}

void open_algos(lua_State *L) {
  static const luaL_Reg functions[] = {{"rows", rows},         {"set", set},       {"add", add},
                                       {"autotune", autotune}, {"trials", trials}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "algos");
}
