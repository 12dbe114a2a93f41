/* core.world: clips of the generated world. Options are checked by lua/cohesiv/world.lua; here only what
 * would be unsafe. */
#include "world/clip.h"

#include "lua/lib.h"

#include <limits.h>

static long whole(lua_State *L, int table, const char *name, long low, long high) {
  int isint;
  lua_getfield(L, table, name);
  lua_Integer n = lua_tointegerx(L, -1, &isint);
  if (!isint || n < low || n > high) {
    fail("world: %s: expected a whole number from %ld to %ld, found %s", name, low, high,
         luaL_tolstring(L, -1, NULL));
    raise_error(L);
  }
  lua_pop(L, 1);
  return (long)n;
}

/* { out, seed, width, height, frames, mask_every, flow, person, vertices } at index 1; the string stays in
 * the table. */
static WorldOptions options(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  WorldOptions o = {.seed = (uint64_t)whole(L, 1, "seed", 0, LONG_MAX),
                    .width = (int)whole(L, 1, "width", 16, 4096),
                    .height = (int)whole(L, 1, "height", 16, 4096),
                    .frames = (int)whole(L, 1, "frames", 1, 100000),
                    .mask_every = (int)whole(L, 1, "mask_every", 0, 100000)};
  lua_getfield(L, 1, "out");
  o.out = luaL_checkstring(L, -1);
  lua_pop(L, 1);
  static const char *const parts[] = {"flow", "person", "vertices"};
  for (int i = 0; i < 3; i++) {
    lua_getfield(L, 1, parts[i]);
    if (lua_toboolean(L, -1)) o.truth |= 1u << i;
    lua_pop(L, 1);
  }
  return o;
}

/* clips(options, first, count): writes those of the clips first .. first+count-1 that are not there yet */
static int clips(lua_State *L) {
  WorldOptions o = options(L);
  lua_Integer first = luaL_checkinteger(L, 2), count = luaL_checkinteger(L, 3);
  if (first < 0 || count < 0)
    return luaL_error(L, "world: expected clips from 0, found %I and %I", first, count);
  if (!world_clips(&o, (uint64_t)first, (long)count)) return raise_error(L);
  return 0;
}

/* name(seed, index) → the clip's name */
static int name(lua_State *L) {
  WorldOptions o = {.seed = (uint64_t)luaL_checkinteger(L, 1)};
  char text[64];
  world_name(&o, (uint64_t)luaL_checkinteger(L, 2), text);
  lua_pushstring(L, text);
  return 1;
}

void open_world(lua_State *L) {
  static const luaL_Reg functions[] = {{"clips", clips}, {"name", name}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "world");
}
