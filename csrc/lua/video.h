/* Videos that are read and written, for open_io. */
#ifndef LUA_VIDEO_H
#define LUA_VIDEO_H

#include <lua.h>

/* Each adds its functions to the table at the top of the stack. */
void open_video(lua_State *L);
void open_video_writer(lua_State *L);

#endif
