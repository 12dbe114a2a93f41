/* core.io.lock and core.io.sweep: see io/lock.h. */
#include "io/lock.h"

#include "lua/lib.h"

#define LOCK_META "cohesiv.io.Lock"

static int release(lua_State *L) {
  lock_release(check_object(L, 1, LOCK_META, "lock"));
  return 0;
}

/* lock(path) → a lock, to be closed; nil and by whom it is held; or, where the file system has no locks, a
 * lock of nothing and the reason. */
static int lock(lua_State *L) {
  const char *path = check_text(L, 1, "path");
  char who[LOCK_WHO];
  Lock *l = lua_newuserdatauv(L, sizeof *l, 0);
  *l = (Lock){.fd = -1};
  luaL_setmetatable(L, LOCK_META);
  LockState state = lock_take(l, path, who);
  if (state == LOCK_FAILED) return raise_error(L);
  if (state == LOCK_TAKEN) return 1;
  if (state == LOCK_HELD) lua_pushnil(L);
  lua_pushstring(L, who);
  return 2;
}

/* sweep(folder) → how many temporary files of writers that were killed it has removed */
static int sweep(lua_State *L) {
  lua_pushinteger(L, lock_sweep(check_text(L, 1, "path")));
  return 1;
}

void open_lock(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"close", release}, {"__close", release}, {"__gc", release}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"lock", lock}, {"sweep", sweep}, {NULL, NULL}};
  luaL_newmetatable(L, LOCK_META);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
