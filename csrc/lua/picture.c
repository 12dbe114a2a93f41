/* core.picture: maps, flows and masks as colours, and pictures as coloured text. Pixel loops that are too
 * slow in Lua and too special for ops; which picture shows what is Lua's affair (viz.lua). All pictures are
 * uint8 H×W×3 RGB. One thread: a frame takes about a millisecond. */
#include "backend/lapack.h"
#include "lua/lib.h"
#include "lua/system.h"
#include "motion/skeleton.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SIDE_MAX = (1 << 20) - 1 };

static uint8_t byte_of(double v) { return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : v + 0.5); }

static Tensor *check_picture(lua_State *L, int i, const char *what) {
  Tensor *t = check_tensor_of(L, i, what, U8, 3);
  if (t->shape[2] != 3) refuse(L, "%s: expected HxWx3, found %s", what, tensor_text(t));
  return t;
}

static void same_size(lua_State *L, const Tensor *t, const Tensor *mask, const char *what) {
  if (mask->shape[0] != t->shape[0] || mask->shape[1] != t->shape[1])
    refuse(L, "%s: expected the picture's size %s, found %s", what, tensor_text(t), tensor_text(mask));
}

/* Pushes a new picture and returns its pixels; raises when memory is short. */
static uint8_t *push_picture(lua_State *L, long height, long width) {
  long shape[3] = {height, width, 3};
  Tensor *t = tensor_new(U8, 3, shape);
  give_tensor(L, t);
  return t->storage->data;
}

/* Pushes a copy of a picture that may be painted on. */
static uint8_t *push_copy(lua_State *L, const Tensor *t) {
  uint8_t *pixels = push_picture(L, t->shape[0], t->shape[1]);
  memcpy(pixels, tensor_data(t), tensor_bytes(t));
  return pixels;
}

static void check_color(lua_State *L, int i, uint8_t color[3]) {
  for (int c = 0; c < 3; c++) color[c] = byte_of(check_finite(L, i + c, "colour"));
}

/* Viridis (van der Walt and Smith 2015) at 33 places, linear between them: within 2 of 255. */
static const uint8_t viridis_at[33][3] = {
    {68, 1, 84},    {71, 13, 96},   {72, 24, 106},  {72, 35, 116},  {71, 45, 123},  {69, 55, 129},
    {66, 64, 134},  {62, 73, 137},  {59, 82, 139},  {55, 91, 141},  {51, 99, 141},  {47, 107, 142},
    {44, 114, 142}, {41, 122, 142}, {38, 130, 142}, {35, 137, 142}, {33, 144, 140}, {31, 151, 139},
    {31, 159, 136}, {33, 166, 133}, {39, 173, 129}, {49, 181, 123}, {62, 188, 116}, {77, 194, 108},
    {92, 200, 99},  {110, 206, 88}, {130, 211, 77}, {149, 216, 64}, {170, 220, 50}, {192, 223, 37},
    {213, 226, 26}, {234, 229, 26}, {253, 231, 37}};

/* viridis(map H×W float32, low, high): outside is clamped, NaN is grey. */
static int viridis(lua_State *L) {
  check_host(L, 1, "viridis");
  Tensor *t = check_tensor_of(L, 1, "viridis", F32, 2);
  double low = check_number(L, 2, "viridis: low"), high = check_number(L, 3, "viridis: high");
  double scale = high > low ? 32 / (high - low) : 0;
  uint8_t *out = push_picture(L, t->shape[0], t->shape[1]);
  const float *x = tensor_data(t);
  for (long i = 0; i < t->size; i++, out += 3) {
    double v = fmin(fmax((x[i] - low) * scale, 0), 32);
    if (isnan(x[i])) {
      memset(out, 128, 3);
      continue;
    }
    int k = v < 32 ? (int)v : 31;
    for (int c = 0; c < 3; c++)
      out[c] = byte_of(viridis_at[k][c] + (v - k) * (viridis_at[k + 1][c] - viridis_at[k][c]));
  }
  return 1;
}

/* The colour wheel of Baker et al., A Database and Evaluation Methodology for Optical Flow (IJCV 2011): six
 * arcs, each from one pure colour to the next, of so many steps. */
static void wheel(double turn, double rgb[3]) { /* turn: 0 .. 1 */
  static const int steps[6] = {15, 6, 4, 11, 13, 6};
  static const double from[7][3] = {{1, 0, 0}, {1, 1, 0}, {0, 1, 0}, {0, 1, 1},
                                    {0, 0, 1}, {1, 0, 1}, {1, 0, 0}};
  double at = turn * 55;
  int arc = 0;
  while (arc < 5 && at >= steps[arc]) at -= steps[arc++];
  double part = fmin(at / steps[arc], 1);
  for (int c = 0; c < 3; c++) rgb[c] = from[arc][c] + part * (from[arc + 1][c] - from[arc][c]);
}

/* Magnitudes of unknown flow: Middlebury's files mark it by 1e9. */
static int known(const float *o) { return fabsf(o[0]) < 1e9f && fabsf(o[1]) < 1e9f; }

/* flow(flow H×W×2 float32, full or nil): direction as hue, magnitude as saturation, full at `full` pixels
 * (default: the largest magnitude), darker beyond; unknown flow is black. Returns the picture and `full`. */
static int flow(lua_State *L) {
  check_host(L, 1, "flow");
  Tensor *t = check_tensor_of(L, 1, "flow", F32, 3);
  if (t->shape[2] != 2) refuse(L, "flow: expected HxWx2, found %s", tensor_text(t));
  double full = lua_isnoneornil(L, 2) ? 0 : check_finite(L, 2, "flow: full");
  const float *o = tensor_data(t);
  long pixels = t->shape[0] * t->shape[1];
  if (!(full > 0))
    for (long i = 0; i < pixels; i++)
      if (known(o + 2 * i)) full = fmax(full, hypot(o[2 * i], o[2 * i + 1]));
  uint8_t *out = push_picture(L, t->shape[0], t->shape[1]);
  for (long i = 0; i < pixels; i++, o += 2, out += 3) {
    double rgb[3] = {0, 0, 0}, radius = full > 0 ? hypot(o[0], o[1]) / full : 0;
    if (known(o)) {
      wheel((atan2(-o[1], -o[0]) / M_PI + 1) / 2, rgb);
      for (int c = 0; c < 3; c++) rgb[c] = radius <= 1 ? 1 - radius * (1 - rgb[c]) : 0.75 * rgb[c];
    }
    for (int c = 0; c < 3; c++) out[c] = byte_of(255 * rgb[c]);
  }
  lua_pushnumber(L, full);
  return 2;
}

/* tint(picture, mask H×W uint8, r, g, b, alpha, other or nil, want): colours the pixels of the mask, of those
 * only where `other` is set (want = true) or not set (false). */
static int tint(lua_State *L) {
  Tensor *t = check_picture(L, 1, "overlay"), *mask = check_tensor_of(L, 2, "overlay: mask", U8, 2);
  uint8_t color[3];
  check_color(L, 3, color);
  double alpha = check_finite(L, 6, "overlay: alpha");
  Tensor *other = lua_isnoneornil(L, 7) ? NULL : check_tensor_of(L, 7, "overlay: mask", U8, 2);
  int want = lua_toboolean(L, 8);
  same_size(L, t, mask, "overlay: mask");
  if (other) same_size(L, t, other, "overlay: mask");
  uint8_t *out = push_copy(L, t);
  const uint8_t *m = tensor_data(mask), *n = other ? tensor_data(other) : NULL;
  for (long i = 0; i < mask->size; i++, out += 3)
    if (m[i] && (!n || (n[i] != 0) == want))
      for (int c = 0; c < 3; c++) out[c] = byte_of(out[c] + alpha * (color[c] - out[c]));
  return 1;
}

/* blend(picture, map H×W float32, r, g, b, alpha): the colour over the pixels, as much of it as the map says, 0 to 1. */
static int blend(lua_State *L) {
  Tensor *t = check_picture(L, 1, "blend");
  check_host(L, 2, "blend: map");
  Tensor *map = check_tensor_of(L, 2, "blend: map", F32, 2);
  uint8_t color[3];
  check_color(L, 3, color);
  double alpha = check_finite(L, 6, "blend: alpha");
  same_size(L, t, map, "blend: map");
  uint8_t *out = push_copy(L, t);
  const float *m = tensor_data(map);
  for (long i = 0; i < map->size; i++, out += 3) {
    double share = alpha * (m[i] > 0 ? fmin(m[i], 1) : 0);
    for (int c = 0; c < 3; c++) out[c] = byte_of(out[c] + share * (color[c] - out[c]));
  }
  return 1;
}

/* disc(picture, x, y, radius, r, g, b): a disc with a white rim, cut at the border. */
static int disc(lua_State *L) {
  Tensor *t = check_picture(L, 1, "disc");
  double x = check_finite(L, 2, "disc: x"), y = check_finite(L, 3, "disc: y"),
         radius = check_finite(L, 4, "disc: radius");
  uint8_t color[3];
  check_color(L, 5, color);
  uint8_t *out = push_copy(L, t);
  for (long i = 0; i < t->shape[0]; i++)
    for (long j = 0; j < t->shape[1]; j++) {
      double d = hypot((double)j - x, (double)i - y);
      double rim = fmin(fmax(radius + 1.5 - d, 0), 1), inner = fmin(fmax(radius - d, 0), 1);
      uint8_t *p = out + 3 * (i * t->shape[1] + j);
      if (rim > 0)
        for (int c = 0; c < 3; c++) {
          double under = p[c] + rim * (255 - p[c]);
          p[c] = byte_of(under + inner * (color[c] - under));
        }
    }
  return 1;
}

/* axes(covariance float64 C×C) → the eigenvectors, one per row, those of the largest eigenvalues first, and the
 * eigenvalues. */
static int axes(lua_State *L) {
  const Tensor *t = check_tensor_of(L, 1, "axes", F64, 2);
  long n = t->shape[0];
  if (n != t->shape[1] || n > INT_MAX) refuse(L, "axes: expected CxC, found %s", tensor_text(t));
  give_tensor(L, tensor_new(F64, 2, t->shape));
  give_tensor(L, tensor_new(F64, 1, t->shape));
  double *vectors = to_tensor(L, -2)->storage->data, *values = to_tensor(L, -1)->storage->data;
  return lapack_covariance((int)n, tensor_data(t), values, vectors) ? 2 : raise_error(L);
}

/* paste(list of { picture, y, x }, height, width, grey): pictures on a ground; what lies outside is cut. */
static int paste(lua_State *L) {
  check_table(L, 1, "grid");
  lua_Integer height = check_whole(L, 2, "grid: height", 0, SIDE_MAX),
              width = check_whole(L, 3, "grid: width", 0, SIDE_MAX);
  uint8_t *out = push_picture(L, (long)height, (long)width);
  int to = lua_gettop(L);
  memset(out, byte_of(check_finite(L, 4, "grid: ground")), (size_t)(height * width * 3));
  for (lua_Integer k = 1; lua_rawgeti(L, 1, k) == LUA_TTABLE; k++) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    lua_rawgeti(L, -3, 3); /* ... entry picture y x */
    Tensor *t = check_picture(L, -3, "grid");
    long y = (long)check_whole(L, -2, "grid: y", -SIDE_MAX, SIDE_MAX),
         x = (long)check_whole(L, -1, "grid: x", -SIDE_MAX, SIDE_MAX);
    long first = x < 0 ? -x : 0, last = x + t->shape[1] > width ? width - x : t->shape[1];
    const uint8_t *from = tensor_data(t);
    for (long i = 0; i < t->shape[0]; i++)
      if (y + i >= 0 && y + i < height && last > first)
        memcpy(out + 3 * ((y + i) * width + x + first), from + 3 * (i * t->shape[1] + first),
               3 * (size_t)(last - first));
    lua_pop(L, 4);
  }
  lua_settop(L, to);
  return 1;
}

/* The mean colour of a box of pixels, at least one. */
static void box_mean(const Tensor *t, long y0, long y1, long x0, long x1, uint8_t mean[3]) {
  const uint8_t *p = tensor_data(t);
  unsigned long sum[3] = {0, 0, 0};
  if (y1 <= y0) y1 = y0 + 1;
  if (x1 <= x0) x1 = x0 + 1;
  for (long y = y0; y < y1; y++)
    for (long x = x0; x < x1; x++)
      for (int c = 0; c < 3; c++) sum[c] += p[3 * (y * t->shape[1] + x) + c];
  unsigned long n = (unsigned long)((y1 - y0) * (x1 - x0));
  for (int c = 0; c < 3; c++) mean[c] = (uint8_t)((sum[c] + n / 2) / n);
}

/* Levels of red, green and blue: a palette of 252 colours. */
static const int levels[3] = {6, 7, 6};

/* Ordered dithering (Bayer, 1973): thresholds between 0 and 1. */
static double threshold(long y, long x) {
  static const uint8_t bayer[4][4] = {{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};
  return (bayer[y & 3][x & 3] + 0.5) / 16;
}

/* The palette's colour of a pixel. */
static int palette_of(const uint8_t *p, double t) {
  int index = 0;
  for (int c = 0; c < 3; c++) index = index * levels[c] + (int)(p[c] * (levels[c] - 1) / 255.0 + t);
  return index;
}

/* A run of one sixel: repeated, in DEC's short form where that is shorter. */
static void add_run(luaL_Buffer *text, char sixel, long n) {
  char code[32];
  if (n > 3) {
    luaL_addlstring(text, code, (size_t)snprintf(code, sizeof code, "!%ld%c", n, sixel));
    return;
  }
  while (n-- > 0) luaL_addchar(text, sixel);
}

/* sixel(picture): as DEC sixels (VT330/VT340 Programmer Reference Manual, chapter 14), dithered. */
static int sixel(lua_State *L) {
  Tensor *t = check_picture(L, 1, "show");
  if (!t->size) refuse(L, "show: expected a picture with pixels, found %s", tensor_text(t));
  long h = t->shape[0], w = t->shape[1];
  int colors = levels[0] * levels[1] * levels[2];
  char code[64], *bits = lua_newuserdatauv(L, (size_t)colors * (size_t)w, 0), used[256];
  const uint8_t *p = tensor_data(t);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  luaL_addlstring(&text, code, (size_t)snprintf(code, sizeof code, "\033P0;1q\"1;1;%ld;%ld", w, h));
  for (int i = 0; i < colors; i++) {
    int blue = i % levels[2], green = i / levels[2] % levels[1], red = i / levels[2] / levels[1];
    snprintf(code, sizeof code, "#%d;2;%d;%d;%d", i, red * 100 / (levels[0] - 1),
             green * 100 / (levels[1] - 1), blue * 100 / (levels[2] - 1));
    luaL_addstring(&text, code);
  }
  for (long y = 0; y < h; y += 6) {
    memset(used, 0, sizeof used);
    for (long i = y; i < y + 6 && i < h; i++)
      for (long x = 0; x < w; x++) {
        int color = palette_of(p + 3 * (i * w + x), threshold(i, x));
        if (!used[color]) memset(bits + color * w, 0, (size_t)w);
        used[color] = 1;
        bits[color * w + x] |= (char)(1 << (i - y));
      }
    for (int color = 0; color < colors; color++) {
      if (!used[color]) continue;
      const char *row = bits + color * w;
      luaL_addlstring(&text, code, (size_t)snprintf(code, sizeof code, "#%d", color));
      for (long x = 0, n; x < w; x += n) {
        for (n = 1; x + n < w && row[x + n] == row[x];) n++;
        if (x + n < w || row[x])
          add_run(&text, (char)(63 + row[x]), n); /* nothing follows: nothing to skip */
      }
      luaL_addchar(&text, '$');
    }
    luaL_addchar(&text, '-');
  }
  luaL_addstring(&text, "\033\\");
  luaL_pushresult(&text);
  return 1;
}

/* blocks(picture, columns, lines): as text of upper half blocks, two pixels per character,
 * in 24-bit colours. */
static int blocks(lua_State *L) {
  Tensor *t = check_picture(L, 1, "show");
  lua_Integer columns = check_whole(L, 2, "show: columns", 1, 4096),
              lines = check_whole(L, 3, "show: lines", 1, 4096);
  if (!t->size) refuse(L, "show: expected a picture with pixels, found %s", tensor_text(t));
  long w = (long)columns, h = 2 * (long)lines;
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (long i = 0; i < h; i += 2) {
    uint8_t last[6], cell[6];
    for (long j = 0; j < w; j++) {
      for (int half = 0; half < 2; half++)
        box_mean(t, (i + half) * t->shape[0] / h, (i + half + 1) * t->shape[0] / h, j * t->shape[1] / w,
                 (j + 1) * t->shape[1] / w, cell + 3 * half);
      if (j == 0 || memcmp(last, cell, 6)) {
        char code[64];
        snprintf(code, sizeof code, "\033[38;2;%d;%d;%d;48;2;%d;%d;%dm", cell[0], cell[1], cell[2], cell[3],
                 cell[4], cell[5]);
        luaL_addstring(&text, code);
        memcpy(last, cell, 6);
      }
      luaL_addstring(&text, "\xe2\x96\x80");
    }
    luaL_addstring(&text, "\033[0m\n");
  }
  luaL_pushresult(&text);
  return 1;
}

/* bones() → the pairs of landmarks (from 1) that a drawn hand joins, and how many landmarks such a hand has. */
static int bones(lua_State *L) {
  lua_createtable(L, SKELETON_BONES, 0);
  for (int i = 0, n = 0; i < SKELETON_BONES; i++) {
    if (skeleton_bone[i].radius == 0) continue; /* a web of skin */
    lua_createtable(L, 2, 0);
    lua_pushinteger(L, skeleton_bone[i].a + 1), lua_rawseti(L, -2, 1);
    lua_pushinteger(L, skeleton_bone[i].b + 1), lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, ++n);
  }
  lua_pushinteger(L, LANDMARKS);
  return 2;
}

void open_picture(lua_State *L) {
  static const luaL_Reg functions[] = {{"viridis", viridis}, {"flow", flow},     {"tint", tint},
                                       {"blend", blend},     {"axes", axes},     {"disc", disc},
                                       {"paste", paste},     {"blocks", blocks}, {"sixel", sixel},
                                       {"bones", bones},     {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "picture");
}
