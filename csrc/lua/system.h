/* The parts that make up core.system, each in a file of its own. Every function fills the table at the top of
 * the stack and leaves nothing on it. */
#ifndef LUA_SYSTEM_H
#define LUA_SYSTEM_H

#include <lua.h>

void open_signals(lua_State *L); /* Ctrl-C and SIGTERM */
void open_editor(lua_State *L);  /* line editing with history */

#endif
