/* Readers that are written in Lua: one Lua state for all executions, the functions of readers.lua, and the
 * lines that they run through as libFuzzer's coverage, since Lua's own machine is not instrumented. */
#include "fuzz.h"

#include "core/error.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int luaopen_cohesiv_core(lua_State *L);

enum { LINES = 1 << 13 };
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t lines[LINES];

static void on_line(lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "Sl", ar);
  unsigned hash = (unsigned)ar->currentline;
  for (const char *at = ar->short_src; *at; at++) hash = hash * 31 + (unsigned char)*at;
  lines[hash % LINES]++;
}

/* The table of readers.lua, at index 1. */
static lua_State *start(const char *path) {
  lua_State *L = luaL_newstate();
  if (!L) fuzz_found("expected memory for Lua, found none");
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_cohesiv_core);
  lua_setfield(L, -2, "cohesiv.core");
  lua_settop(L, 0);
  if (luaL_loadfile(L, COHESIV_ROOT "/tests/fuzz/readers.lua") != LUA_OK)
    fuzz_found("%s", lua_tostring(L, -1));
  lua_pushliteral(L, COHESIV_ROOT);
  lua_pushstring(L, path);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) fuzz_found("%s", lua_tostring(L, -1));
  lua_sethook(L, on_line, LUA_MASKLINE, 0);
  return L;
}

/* A message names the file or the clip first; what comes from inside the interpreter does not. */
static void judge(const char *message) {
  const char *folder = getenv("COHESIV_FUZZ_FOLDER");
  if (!message) fuzz_found("raised something that is no text");
  fuzz_line(message);
  if (strncmp(message, folder, strlen(folder)) != 0 && strncmp(message, "clip a: ", 8) != 0)
    fuzz_found("a message that names neither the file nor the clip: %s", message);
}

static void call(const char *path, const char *name) {
  static lua_State *L;
  if (!L) L = start(path);
  lua_getfield(L, 1, name);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) judge(lua_tostring(L, -1));
  lua_settop(L, 1);
}

void fuzz_hands(const char *path, Bundle *out) {
  (void)out;
  call(path, "hands");
}

void fuzz_queries(const char *path, Bundle *out) {
  (void)out;
  call(path, "queries");
}
