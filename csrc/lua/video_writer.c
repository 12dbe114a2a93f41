/* Writers of videos in Lua: core.io.video_writer(path, rate) → writer; writer:add(frame), writer:commit(). What is
 * not committed leaves no file, however the writer ends. */
#include "io/video_write.h"
#include "lua/lib.h"
#include "lua/video.h"

#define WRITER_META "cohesiv.VideoWriter"

static VideoWriter *check_writer(lua_State *L) {
  VideoWriter **w = check_object(L, 1, WRITER_META, "video");
  if (!*w) refuse(L, "video: expected an open writer, found a closed one");
  return *w;
}

static int writer_close(lua_State *L) {
  VideoWriter **w = check_object(L, 1, WRITER_META, "video");
  video_writer_close(*w);
  *w = NULL;
  return 0;
}

static int l_writer(lua_State *L) {
  const char *path = check_text(L, 1, "video");
  double rate = check_finite(L, 2, "video: frames a second");
  VideoWriter **w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = NULL;
  luaL_setmetatable(L, WRITER_META);
  return (*w = video_writer_open(path, rate)) ? 1 : raise_error(L);
}

static int l_add(lua_State *L) {
  VideoWriter *w = check_writer(L);
  return video_writer_add(w, check_host(L, 2, "video")) ? 0 : raise_error(L);
}

static int l_commit(lua_State *L) { return video_writer_commit(check_writer(L)) ? 0 : raise_error(L); }

/* video_writer_knows(path): whether its name ends as that of a video that can be written. */
static int l_knows(lua_State *L) {
  lua_pushboolean(L, video_writer_knows(check_text(L, 1, "video")));
  return 1;
}

void open_video_writer(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"add", l_add},         {"commit", l_commit},      {"close", writer_close},
      {"__gc", writer_close}, {"__close", writer_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"video_writer", l_writer}, {"video_writer_knows", l_knows}, {NULL, NULL}};
  luaL_newmetatable(L, WRITER_META);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
