/* core.io.tflite_read(path) → { tensors, operators, inputs, outputs } of a .tflite file (io/tflite.h); places count
 * from 1 and are false where an operator goes without an input. */
#include "io/tflite.h"

#include "lua/lib.h"

#include <string.h>

#define TFLITE_META "cohesiv.io.Tflite"

static int tflite_shut(lua_State *L) {
  tflite_free(luaL_checkudata(L, 1, TFLITE_META));
  return 0;
}

static void set_list(lua_State *L, const char *key, const TfliteList *list) {
  lua_createtable(L, list->count, 0);
  for (int i = 0; i < list->count; i++) {
    if (list->items[i] < 0)
      lua_pushboolean(L, 0);
    else
      lua_pushinteger(L, list->items[i] + 1);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, key);
}

/* { name, type, shape, constant } */
static void push_one_tensor(lua_State *L, TfliteTensor *t) {
  lua_createtable(L, 0, 4);
  lua_pushlstring(L, t->name, t->name_size);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, t->type);
  lua_setfield(L, -2, "type");
  lua_createtable(L, t->rank, 0);
  for (int d = 0; d < t->rank; d++) {
    lua_pushinteger(L, t->shape[d]);
    lua_rawseti(L, -2, d + 1);
  }
  lua_setfield(L, -2, "shape");
  if (!t->constant) return;
  *push_tensor(L) = t->constant;
  t->constant = NULL;
  lua_setfield(L, -2, "constant");
}

/* { name, custom, inputs, outputs, options } */
static void push_operator(lua_State *L, const TfliteOperator *o) {
  lua_createtable(L, 0, 5);
  lua_pushlstring(L, o->name, o->name_size);
  lua_setfield(L, -2, "name");
  lua_pushboolean(L, o->custom);
  lua_setfield(L, -2, "custom");
  set_list(L, "inputs", &o->inputs);
  set_list(L, "outputs", &o->outputs);
  lua_createtable(L, 0, o->options_count);
  for (int i = 0; i < o->options_count; i++) {
    lua_pushlstring(L, o->options[i].name, strcspn(o->options[i].name, ":"));
    lua_pushnumber(L, o->options[i].value);
    lua_rawset(L, -3);
  }
  lua_setfield(L, -2, "options");
}

static int l_tflite_read(lua_State *L) {
  const char *path = check_text(L, 1, "path");
  Tflite *t = lua_newuserdatauv(L, sizeof *t, 0);
  *t = (Tflite){0};
  luaL_setmetatable(L, TFLITE_META);
  if (!tflite_read(path, t)) return raise_error(L);
  lua_createtable(L, 0, 4);
  lua_createtable(L, t->tensors_count, 0);
  for (int i = 0; i < t->tensors_count; i++) {
    push_one_tensor(L, &t->tensors[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "tensors");
  lua_createtable(L, t->operators_count, 0);
  for (int i = 0; i < t->operators_count; i++) {
    push_operator(L, &t->operators[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "operators");
  set_list(L, "inputs", &t->inputs);
  set_list(L, "outputs", &t->outputs);
  tflite_free(t);
  return 1;
}

void open_tflite(lua_State *L) {
  luaL_newmetatable(L, TFLITE_META);
  lua_pushcfunction(L, tflite_shut);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_tflite_read);
  lua_setfield(L, -2, "tflite_read");
}
