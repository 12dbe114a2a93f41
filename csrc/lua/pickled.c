/* core.io.pickle_read(path) → what a pickle holds (io/pickled.h): dicts of texts and whole numbers and lists as tables,
 * None as core.json.null, arrays as tensors; what has no such form is left out of dicts, and null in lists. */
#include "io/pickled.h"

#include "lua/lib.h"

#define PICKLED_META "cohesiv.io.Pickled"
enum { DEPTH = 24 };

static int pickled_shut(lua_State *L) {
  pickled_free(luaL_checkudata(L, 1, PICKLED_META));
  return 0;
}

static void push_value(lua_State *L, Pickled *p, const PickleValue *v, int depth);

static void push_items(lua_State *L, Pickled *p, const PickleValue *v, int depth) {
  const PickleValue *values = p->pickle.values;
  int pair = v->kind == PICKLE_DICT ? 2 : 1;
  if (depth == DEPTH) refuse(L, "%s: expected values at most %d deep, found deeper ones", p->path, DEPTH);
  lua_newtable(L);
  for (uint32_t i = 0; i + (uint32_t)pair <= v->count; i += (uint32_t)pair) {
    const PickleValue *key = &values[v->as.items[i]], *value = &values[v->as.items[i + (uint32_t)pair - 1]];
    if (!pickled_spend(p, 64)) raise_error(L);
    if (pair == 1)
      lua_pushinteger(L, (lua_Integer)i + 1);
    else if (key->kind == PICKLE_TEXT)
      lua_pushlstring(L, key->as.text, key->count);
    else if (key->kind == PICKLE_INT)
      lua_pushinteger(L, key->as.number);
    else
      continue;
    push_value(L, p, value, depth + 1);
    lua_rawset(L, -3);
  }
}

static void push_value(lua_State *L, Pickled *p, const PickleValue *v, int depth) {
  luaL_checkstack(L, 8, NULL);
  switch (v->kind) {
  case PICKLE_BOOL: lua_pushboolean(L, v->as.number != 0); return;
  case PICKLE_INT: lua_pushinteger(L, v->as.number); return;
  case PICKLE_REAL: lua_pushnumber(L, v->as.real); return;
  case PICKLE_TEXT:
    if (!pickled_spend(p, v->count)) raise_error(L);
    lua_pushlstring(L, v->as.text, v->count);
    return;
  case PICKLE_TUPLE:
  case PICKLE_LIST:
  case PICKLE_DICT: push_items(L, p, v, depth); return;
  default: break;
  }
  if (pickled_is_array(p, v)) {
    Tensor **t = push_tensor(L);
    if (!(*t = pickled_array(p, v))) raise_error(L);
    return;
  }
  lua_pushlightuserdata(L, NULL); /* core.json.null */
}

static int l_pickle_read(lua_State *L) {
  const char *path = check_text(L, 1, "path");
  Pickled *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (Pickled){.path = path};
  luaL_setmetatable(L, PICKLED_META);
  if (!pickled_read(path, p)) {
    *p = (Pickled){.path = path};
    return raise_error(L);
  }
  push_value(L, p, &p->pickle.values[p->pickle.root], 0);
  pickled_free(p);
  return 1;
}

void open_pickled(lua_State *L) {
  luaL_newmetatable(L, PICKLED_META);
  lua_pushcfunction(L, pickled_shut);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_pickle_read);
  lua_setfield(L, -2, "pickle_read");
}
