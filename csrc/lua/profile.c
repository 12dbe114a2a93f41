/* core.profile_*: starts and stops the record of core/profile.h, opens and closes named scopes in it, and
 * hands the events over as tables. What is made of them is in lua/cohesiv/nn/profile.lua. */
#include "core/profile.h"
#include "lua/lib.h"
#include "lua/profile.h"

#include <limits.h>

static const char
    anchor; /* its address: the registry's key of a table that holds names while a record runs */

const char *profile_name(lua_State *L, const char *name) {
  luaL_checkstack(L, 4, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchor);
  const char *kept = lua_pushstring(L, name);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return kept;
}

static int start(lua_State *L) {
  if (!profiling) { /* before the record: Lua may have no memory for it */
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &anchor);
  }
  return profile_start() ? 0 : raise_error(L);
}

static void set_number(lua_State *L, const char *key, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, size_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, key);
}

static void push_event(lua_State *L, const Event *e) {
  static const char *const kinds[] = {"forward", "backward", "scope"};
  lua_createtable(L, 0, 11);
  lua_pushstring(L, e->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, kinds[e->kind]);
  lua_setfield(L, -2, "kind");
  if (e->parent >= 0) set_integer(L, "parent", (size_t)e->parent + 1);
  set_number(L, "start", 1e-9 * (double)e->begin);
  set_number(L, "seconds", 1e-9 * (double)(e->end - e->begin));
  set_integer(L, "read", e->read);
  set_integer(L, "written", e->written);
  set_number(L, "flops", e->flops);
  set_integer(L, "launches", (size_t)e->launches);
  lua_pushboolean(L, e->fallback);
  lua_setfield(L, -2, "fallback");
  if (e->rank < 0) return;
  lua_pushstring(L, shape_text(e->rank, e->shape));
  lua_setfield(L, -2, "shape");
}

/* The EventList at 1 → what profile_stop returns */
static int push_events(lua_State *L) {
  const EventList *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (long i = 0; i < list->count; i++) {
    push_event(L, &list->event[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushnumber(L, 1e-9 * (double)list->duration);
  lua_pushinteger(L, list->lost);
  return 3;
}

/* profile_stop() → events, seconds since the start, how many events were not kept. An event: { name, kind =
 * "forward", "backward" or "scope", parent (its place in the list), start, seconds, read, written (bytes),
 * flops, launches, shape, fallback (true: the CPU computed it in place of its device) }. The record ends whatever fails. */
static int stop(lua_State *L) {
  EventList list = profile_stop();
  lua_pushcfunction(L, push_events);
  lua_pushlightuserdata(L, &list);
  int status = lua_pcall(L, 1, 3, 0);
  profile_forget();
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &anchor);
  return status == LUA_OK ? 3 : lua_error(L);
}

/* profile_enter(name) → what profile_leave takes */
static int enter(lua_State *L) {
  const char *name = check_text(L, 1, "profile: name");
  lua_pushinteger(L, profiling ? profile_begin(profile_name(L, name), EVENT_SCOPE) : -1);
  return 1;
}

static int leave(lua_State *L) {
  long event = (long)check_whole(L, 1, "profile: event", -1, LONG_MAX);
  if (profiling) profile_end(event);
  return 0;
}

void open_profile(lua_State *L) { /* stack: module */
  static const luaL_Reg functions[] = {{"profile_start", start},
                                       {"profile_stop", stop},
                                       {"profile_enter", enter},
                                       {"profile_leave", leave},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
