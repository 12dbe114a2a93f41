/* core.adamw: the optimiser's step on the tensors that Lua holds. */
#include "ops/adamw.h"

#include "lua/lib.h"

/* adamw(parameter, gradient, m, v, lr, beta1, beta2, eps, weight_decay, step) */
static int adamw(lua_State *L) {
  static const char *const names[] = {"adamw: parameter", "adamw: gradient", "adamw: m", "adamw: v"};
  Tensor *t[4];
  for (int i = 0; i < 4; i++) t[i] = check_tensor(L, i + 1, names[i]);
  AdamW o = {luaL_checknumber(L, 5), luaL_checknumber(L, 6), luaL_checknumber(L, 7),
             luaL_checknumber(L, 8), luaL_checknumber(L, 9), (long)luaL_checkinteger(L, 10)};
  return adamw_step(&o, t[0], t[1], t[2], t[3]) ? 0 : raise_error(L);
}

void open_optim(lua_State *L) {
  lua_pushcfunction(L, adamw);
  lua_setfield(L, -2, "adamw");
}
