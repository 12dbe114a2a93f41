/* Nodes of the tape whose backward is a Lua function: see function.c. */
#ifndef LUA_FUNCTION_H
#define LUA_FUNCTION_H

#include <lua.h>

/* The state on which a backward pass now calls Lua functions: the coroutine that asked for the pass. NULL: no
 * pass is under way. Returns what it was before. */
lua_State *function_caller(lua_State *L);

#endif
