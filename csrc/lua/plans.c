/* core.plans: how the libraries of GPUs compute convolutions (DeviceTuning of core/device.h): measuring, choices as tables. */
#include "core/device.h"
#include "lua/lib.h"

#include <limits.h>

static const DeviceTuning *tuning_of(void) {
  const DeviceModule *m = device_module(DEVICE_CUDA);
  return m ? m->tuning : NULL;
}

/* label() → what choices hold for: device and library; nil and why there is none */
static int label(lua_State *L) {
  const DeviceTuning *t = tuning_of();
  const char *text = t && device_module(DEVICE_CUDA)->count ? t->label() : NULL;
  if (text) return lua_pushstring(L, text), 1;
  lua_pushnil(L);
  lua_pushstring(L,
                 t && !device_module(DEVICE_CUDA)->count ? device_module(DEVICE_CUDA)->why : error_message());
  return 2;
}

/* measure(on): while it is on, problems that are met are measured; beginning forgets all choices. */
static int measure(lua_State *L) {
  const DeviceTuning *t = tuning_of();
  if (!t) return raise_error(L);
  t->measure(lua_toboolean(L, 1));
  return 0;
}

/* Into the list at the top of the stack. Lua may be short of memory: called within a protected call alone. */
static int see(void *to, const DeviceChoice *d) {
  lua_State *L = to;
  lua_createtable(L, 0, 6);
  lua_createtable(L, d->keys, 0);
  for (int i = 0; i < d->keys; i++) {
    lua_pushinteger(L, d->key[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "key");
  lua_pushinteger(L, d->offer);
  lua_setfield(L, -2, "offer");
  lua_pushinteger(L, d->engine);
  lua_setfield(L, -2, "engine");
  lua_pushnumber(L, d->seconds);
  lua_setfield(L, -2, "seconds");
  lua_pushnumber(L, d->usual);
  lua_setfield(L, -2, "usual");
  lua_pushstring(L, d->text);
  lua_setfield(L, -2, "text");
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  return 1;
}

/* reset(): forgets all choices. */
static int reset(lua_State *L) {
  const DeviceTuning *t = device_tuning();
  (void)L;
  if (t) t->measure(true), t->measure(false);
  return 0;
}

/* rows() → list of { key, offer, engine, seconds, usual, text }, of what was measured or chosen for */
static int rows(lua_State *L) {
  const DeviceTuning *t = device_tuning(); /* no device is opened for it */
  lua_newtable(L);
  if (t) t->each(see, L);
  return 1;
}

static double number_in(lua_State *L, const char *key) {
  lua_getfield(L, -1, key);
  double n = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return n;
}

/* choose{ key, offer, engine, seconds, usual, text or nil }: from now on */
static int choose(lua_State *L) {
  enum { MOST = 64 };
  long key[MOST];
  const DeviceTuning *t = tuning_of();
  check_table(L, 1, "plans");
  lua_settop(L, 1);
  lua_getfield(L, 1, "key");
  int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
  if (n < 1 || n > MOST) return refuse(L, "plans: key: expected up to %d numbers, found %d", MOST, n);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    key[i] = (long)check_whole(L, -1, "plans: key", LUA_MININTEGER, LUA_MAXINTEGER);
    lua_pop(L, 1);
  }
  lua_getfield(L, 1, "text");
  const char *text = lua_tostring(L, -1);
  lua_pushvalue(L, 1);
  double offer = number_in(L, "offer");
  if (!(offer >= -1 && offer < 1000)) return refuse(L, "plans: offer: expected -1 to 999, found %f", offer);
  DeviceChoice d = {
      key, n, (long)offer, (long)number_in(L, "engine"), number_in(L, "seconds"), number_in(L, "usual"),
      text};
  return t && t->choose(&d) ? 0 : raise_error(L);
}

void open_plans(lua_State *L) {
  static const luaL_Reg functions[] = {{"label", label}, {"measure", measure}, {"rows", rows},
                                       {"reset", reset}, {"choose", choose},   {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "plans");
}
