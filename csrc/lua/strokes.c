/* core.strokes(image, { x0, y0, x1, y1, … }, radius, r, g, b) → a copy of an image uint8 H×W×3 with strokes of round ends
 * over it: skeletons of hands. */
#include "lua/lib.h"

#include <math.h>
#include <stdlib.h>

typedef struct Pen {
  uint8_t *to;
  long w, h;
  double radius;
  uint8_t color[3];
} Pen;

static long limit(double x, long most) { return x < 0 ? 0 : x > (double)most ? most : (long)x; }

/* Pixels whose centres lie within the radius of the line from (x0, y0) to (x1, y1). */
static void stroke(const Pen *p, double x0, double y0, double x1, double y1) {
  double dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy, r = p->radius;
  long left = limit(floor(fmin(x0, x1) - r), p->w), right = limit(ceil(fmax(x0, x1) + r) + 1, p->w);
  long top = limit(floor(fmin(y0, y1) - r), p->h), bottom = limit(ceil(fmax(y0, y1) + r) + 1, p->h);
  for (long y = top; y < bottom; y++)
    for (long x = left; x < right; x++) {
      double u = (double)x - x0, v = (double)y - y0, along = length > 0 ? (u * dx + v * dy) / length : 0;
      along = along < 0 ? 0 : along > 1 ? 1 : along;
      u -= along * dx;
      v -= along * dy;
      if (u * u + v * v > r * r) continue;
      for (int k = 0; k < 3; k++) p->to[3 * (y * p->w + x) + k] = p->color[k];
    }
}

static int l_strokes(lua_State *L) {
  Tensor *image = check_tensor_of(L, 1, "image", U8, 3);
  if (image->shape[2] != 3)
    return refuse(L, "strokes: expected an image HxWx3, found %s", tensor_text(image));
  long count = check_list(L, 2, "strokes", 1 << 16);
  Pen p = {.w = image->shape[1], .h = image->shape[0], .radius = check_finite(L, 3, "radius")};
  for (int k = 0; k < 3; k++) p.color[k] = (uint8_t)check_whole(L, 4 + k, "colour", 0, 255);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_copy(image)) || !(p.to = tensor_write(*out))) return raise_error(L);
  for (long i = 0; i + 4 <= count; i += 4) {
    double at[4];
    for (int k = 0; k < 4; k++) {
      lua_rawgeti(L, 2, i + k + 1);
      at[k] = check_finite(L, -1, "strokes");
      lua_pop(L, 1);
    }
    stroke(&p, at[0], at[1], at[2], at[3]);
  }
  return 1;
}

void open_strokes(lua_State *L) {
  lua_pushcfunction(L, l_strokes);
  lua_setfield(L, -2, "strokes");
}
