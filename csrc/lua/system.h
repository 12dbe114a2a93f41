/* What open_system is made of: the first three fill core.system, which is at the top of the stack; open_picture
 * the module table. They leave nothing on the stack. */
#ifndef LUA_SYSTEM_H
#define LUA_SYSTEM_H

#include <lua.h>

void open_signals(lua_State *L);  /* Ctrl-C and SIGTERM */
void open_editor(lua_State *L);   /* line editing with history */
void open_terminal(lua_State *L); /* its size and its keys */
void open_picture(lua_State *L);  /* core.picture: colours, and pictures as text for terminals */

/* The signal that came and was not yet forgotten by resume(); 0: none. */
int signal_pending(void);

#endif
