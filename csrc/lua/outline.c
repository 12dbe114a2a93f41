/* core.outline: masks as data sets store them, see io/outline.h. */
#include "io/outline.h"

#include "lua/lib.h"

#include <string.h>

enum { SIDE_MAX = 1 << 16, POINTS_MAX = 1 << 22 };

/* Memory that Lua's collector frees. */
static void *scratch(lua_State *L, size_t bytes) { return lua_newuserdatauv(L, bytes + 1, 0); }

static void check_size(lua_State *L, int i, long *height, long *width) {
  *height = (long)check_whole(L, i, "height", 1, SIDE_MAX);
  *width = (long)check_whole(L, i + 1, "width", 1, SIDE_MAX);
}

/* polygons(list of { x, y, x, y, … }, height, width, shift = 0, border = false) */
static int polygons(lua_State *L) {
  long count = check_list(L, 1, "polygons", POINTS_MAX), height, width, points = 0;
  check_size(L, 2, &height, &width);
  Polygons p = {.count = count,
                .shift = lua_isnoneornil(L, 4) ? 0 : check_finite(L, 4, "shift"),
                .border = lua_toboolean(L, 5)};
  long *counts = scratch(L, sizeof *counts * (size_t)count);
  for (long k = 0; k < count; k++) {
    lua_rawgeti(L, 1, k + 1);
    counts[k] = check_list(L, -1, "polygon", POINTS_MAX) / 2;
    points += counts[k];
    lua_pop(L, 1);
  }
  double *xy = scratch(L, sizeof *xy * 2 * (size_t)points), *to = xy;
  for (long k = 0; k < count; k++) {
    lua_rawgeti(L, 1, k + 1);
    for (long i = 1; i <= 2 * counts[k]; i++) {
      lua_rawgeti(L, -1, i);
      double v = check_finite(L, -1, "coordinate");
      *to++ = v < -1e7 ? -1e7 : v > 1e7 ? 1e7 : v;
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  p.xy = xy, p.counts = counts;
  return give_tensor(L, mask_of_polygons(&p, height, width));
}

/* runs(list of whole numbers, or the text that packs them, height, width) */
static int runs(lua_State *L) {
  long count, height, width, *list;
  check_size(L, 2, &height, &width);
  if (lua_type(L, 1) == LUA_TSTRING) {
    size_t size;
    const char *text = lua_tolstring(L, 1, &size);
    list = scratch(L, sizeof *list * size);
    count = runs_of_text(text, size, list);
    if (count < 0) return raise_error(L);
  } else {
    count = check_list(L, 1, "runs", 1L << 28);
    list = scratch(L, sizeof *list * (size_t)count);
    for (long i = 0; i < count; i++) {
      lua_rawgeti(L, 1, i + 1);
      list[i] = (long)check_whole(L, -1, "run", 0, 1L << 32);
      lua_pop(L, 1);
    }
  }
  return give_tensor(L, mask_of_runs(list, count, height, width));
}

/* place(mask) → x, y of a set pixel near the middle, then left, top, right, bottom; nothing where none is set */
static int place(lua_State *L) {
  const Tensor *mask = check_tensor_of(L, 1, "mask", U8, 2);
  Place p;
  if (!mask_place(mask, &p)) return 0;
  const long list[] = {p.x, p.y, p.left, p.top, p.right, p.bottom};
  for (int i = 0; i < 6; i++) lua_pushinteger(L, list[i]);
  return 6;
}

/* label(labels, value): where a picture of labels has this one */
static int label(lua_State *L) {
  const Tensor *labels = check_tensor_of(L, 1, "labels", I32, 2);
  return give_tensor(L, mask_of_label(labels, (long)check_whole(L, 2, "value", 0, INT32_MAX)));
}

/* labels(labels) → the values in it, ascending */
static int labels(lua_State *L) {
  long values[256], n = labels_in(check_tensor_of(L, 1, "labels", I32, 2), values, 256);
  if (n < 0) return raise_error(L);
  lua_createtable(L, (int)n, 0);
  for (long i = 0; i < n; i++) {
    lua_pushinteger(L, values[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

void open_outline(lua_State *L) {
  static const luaL_Reg functions[] = {{"polygons", polygons}, {"runs", runs},     {"place", place},
                                       {"label", label},       {"labels", labels}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "outline");
}
