/* core.io.video_open and video_count, for open_io. */
#ifndef LUA_VIDEO_H
#define LUA_VIDEO_H

#include <lua.h>

/* Adds them to the table at the top of the stack. */
void open_video(lua_State *L);

#endif
