/* Names of events out of Lua: see profile.c. */
#ifndef LUA_PROFILE_H
#define LUA_PROFILE_H

#include <lua.h>

/* The same text where it lives until the record under way was read. May raise (Lua's memory). */
const char *profile_name(lua_State *L, const char *name);

#endif
