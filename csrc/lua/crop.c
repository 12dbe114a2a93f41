/* core.crop(image, { x, y, width, height, angle }, width, height, repeated) → 1×height×width×3: see motion/crop.h. */
#include "motion/crop.h"

#include "lua/lib.h"

static double field(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  double value = check_number(L, -1, name);
  lua_pop(L, 1);
  return value;
}

static int l_crop(lua_State *L) {
  const Tensor *image = check_tensor_of(L, 1, "image", U8, 3);
  if (image->shape[2] != 3) return refuse(L, "crop: expected an image HxWx3, found %s", tensor_text(image));
  check_table(L, 2, "rectangle");
  TurnedRect r = {field(L, "x"), field(L, "y"), field(L, "width"), field(L, "height"), field(L, "angle")};
  long width = (long)check_whole(L, 3, "width", 1, 1 << 14),
       height = (long)check_whole(L, 4, "height", 1, 1 << 14);
  return give_tensor(L, crop_turned(image, &r, width, height, lua_toboolean(L, 5)));
}

void open_crop(lua_State *L) {
  lua_pushcfunction(L, l_crop);
  lua_setfield(L, -2, "crop");
}
