/* luaopen_cohesiv_core: the table of everything that C offers;
 * lua/cohesiv/ makes the public names out of it. */
#include "lua/lib.h"

#include "backend/start.h"
#include "lua/handle.h"

extern __attribute__((visibility("default"))) int luaopen_cohesiv_core(lua_State *L);

int luaopen_cohesiv_core(lua_State *L) {
  if (!core_start()) return raise_error(L);
  lua_newtable(L);
  open_checks(L);
  open_tensor(L);
  open_ops(L);
  open_plan(L);
  open_capture(L);
  open_algos(L);
  open_plans(L);
  open_function(L);
  open_profile(L);
  open_system(L);
  open_io(L);
  open_json(L);
  open_metrics(L);
  open_loader(L);
  open_picture(L);
  open_flow(L);
  open_geometry(L);
  open_crop(L);
  open_outline(L);
  open_strokes(L);
  open_world(L);
  return 1;
}
