/* The parts of the tensor binding: tensor.c looks at tensors, region.c at parts of them, maker.c makes them. */
#ifndef LUA_TENSOR_H
#define LUA_TENSOR_H

#include "lua/lib.h"

/* The dtype named at argument i; raises with the known names otherwise. */
Dtype check_dtype(lua_State *L, int i);

/* The device named at argument i; raises otherwise. */
Device *check_device(lua_State *L, int i);

/* t:item(), of the tensor at 1. */
int tensor_item(lua_State *L);

/* The part of the tensor at 1 that the key at 2 means, a number where no dimension is left. */
int region_slice(lua_State *L);

/* t[key] = v, of the key at 2 and the value at 3; what: whose failure it is. */
int region_assign(lua_State *L, Tensor *t, const char *what);

/* slice, fill, copy: into the methods at the top. */
void open_regions(lua_State *L);

/* tensor, full, arange, eye, rand, randn, seed: fills the table at the top. */
void open_makers(lua_State *L);

#endif
