/* Videos in Lua: a userdata that owns a decoder; __gc, __close and :close() are one idempotent function. */
#include "lua/video.h"

#include "io/video.h"
#include "lua/lib.h"

#include <string.h>

#define VIDEO_META "cohesiv.Video"

/* The open video at argument 1. */
static Video *check_video(lua_State *L) {
  Video **v = luaL_checkudata(L, 1, VIDEO_META);
  if (!*v) luaL_error(L, "video: expected an open video, found a closed one");
  return *v;
}

static int video_shut(lua_State *L) {
  Video **v = luaL_checkudata(L, 1, VIDEO_META);
  video_close(*v);
  *v = NULL;
  return 0;
}

static const char *check_file(lua_State *L) {
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  if (strlen(path) != size) luaL_error(L, "path: expected a string without zero bytes");
  return path;
}

static int l_video_open(lua_State *L) {
  const char *path = check_file(L);
  Video **v = lua_newuserdatauv(L, sizeof *v, 0);
  *v = NULL;
  luaL_setmetatable(L, VIDEO_META);
  return (*v = video_open(path)) ? 1 : raise_error(L);
}

/* v:read() → the next frame, nil at the end */
static int l_read(lua_State *L) {
  Video *v = check_video(L);
  Tensor **frame = push_tensor(L);
  if (!video_next(v, frame)) return raise_error(L);
  if (!*frame) lua_pushnil(L);
  return 1;
}

/* v:skip(n) passes over up to n frames → how many there were */
static int l_skip(lua_State *L) {
  Video *v = check_video(L);
  lua_Integer n = luaL_checkinteger(L, 2), first = v->next;
  while (v->next - first < n && !v->ended)
    if (!video_next(v, NULL)) return raise_error(L);
  lua_pushinteger(L, v->next - first);
  return 1;
}

/* v.width, v.height, v.next (the number of the frame that read gives), and the methods */
static int l_index(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL) return 1;
  Video *v = check_video(L);
  if (strcmp(name, "width") == 0)
    lua_pushinteger(L, v->width);
  else if (strcmp(name, "height") == 0)
    lua_pushinteger(L, v->height);
  else if (strcmp(name, "next") == 0)
    lua_pushinteger(L, v->next);
  else
    lua_pushnil(L);
  return 1;
}

static int l_video_count(lua_State *L) {
  long frames;
  if (!video_count(check_file(L), &frames)) return raise_error(L);
  lua_pushinteger(L, frames);
  return 1;
}

/* video_rate(path) → frames a second, nil where the file does not tell */
static int l_video_rate(lua_State *L) {
  double rate;
  if (!video_rate(check_file(L), &rate)) return raise_error(L);
  if (rate > 0)
    lua_pushnumber(L, rate);
  else
    lua_pushnil(L);
  return 1;
}

void open_video(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", l_read}, {"skip", l_skip}, {"close", video_shut}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"video_open", l_video_open},
                                       {"video_count", l_video_count},
                                       {"video_rate", l_video_rate},
                                       {NULL, NULL}};
  luaL_newmetatable(L, VIDEO_META);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, video_shut);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, video_shut);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
