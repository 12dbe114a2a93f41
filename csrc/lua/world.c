/* core.world: clips of the generated world. Options are checked by lua/cohesiv/data/world.lua; here only what
 * would be unsafe. */
#include "world/clip.h"

#include "lua/lib.h"

#include <limits.h>

static long whole(lua_State *L, int table, const char *name, long low, long high) {
  lua_getfield(L, table, name);
  const char *what = lua_pushfstring(L, "world: %s", name);
  long n = (long)check_whole(L, -2, what, low, high);
  lua_pop(L, 2);
  return n;
}

/* { out, seed, width, height, frames, mask_every, flow, person, vertices } at index 1; the string stays in
 * the table. */
static WorldOptions options(lua_State *L) {
  check_table(L, 1, "world: options");
  WorldOptions o = {.seed = (uint64_t)whole(L, 1, "seed", 0, LONG_MAX),
                    .width = (int)whole(L, 1, "width", 16, 4096),
                    .height = (int)whole(L, 1, "height", 16, 4096),
                    .frames = (int)whole(L, 1, "frames", 1, 100000),
                    .mask_every = (int)whole(L, 1, "mask_every", 0, 100000)};
  lua_getfield(L, 1, "out");
  o.out = check_text(L, -1, "world: out");
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
  lua_Integer first = check_whole(L, 2, "world: first clip", 0, LONG_MAX),
              count = check_whole(L, 3, "world: clips", 0, LONG_MAX);
  if (!world_clips(&o, (uint64_t)first, (long)count)) return raise_error(L);
  return 0;
}

/* name(seed, index) → the clip's name */
static int name(lua_State *L) {
  WorldOptions o = {.seed = (uint64_t)check_whole(L, 1, "world: seed", 0, LONG_MAX)};
  char text[64];
  world_name(&o, (uint64_t)check_whole(L, 2, "world: clip", 0, LONG_MAX), text);
  lua_pushstring(L, text);
  return 1;
}

void open_world(lua_State *L) {
  static const luaL_Reg functions[] = {{"clips", clips}, {"name", name}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "world");
}
