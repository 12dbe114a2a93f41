/* The two halves of the tensor binding: tensor.c looks at tensors, maker.c makes them. */
#ifndef LUA_TENSOR_H
#define LUA_TENSOR_H

#include "lua/lib.h"

/* The dtype named at argument i; raises with the known names otherwise. */
Dtype check_dtype(lua_State *L, int i);

/* The device named at argument i; raises otherwise. */
Device *check_device(lua_State *L, int i);

/* tensor, full, arange, eye, rand, randn, seed: fills the table at the top. */
void open_makers(lua_State *L);

#endif
