/* core.sample_write and core.loader: the training data's way into Lua. */
#include "data/loader.h"

#include "io/array.h"
#include "lua/lib.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOADER_META "cohesiv.Loader"

/* sample_write(path, { image, maps (H×W×N uint8), person, points, content = {w, h} }, folder?): folder is
 * where the file lies until it is whole */
static int write_sample(lua_State *L) {
  const char *path = check_text(L, 1, "path");
  check_table(L, 2, "sample");
  const char *folder = lua_isnoneornil(L, 3) ? NULL : check_text(L, 3, "folder");
  lua_settop(L, 3);
  Sample s = {0};
  lua_getfield(L, 2, "image");
  lua_getfield(L, 2, "maps");
  lua_getfield(L, 2, "person");
  lua_getfield(L, 2, "points");
  s.image = check_tensor_of(L, 4, "sample: image", U8, 3);
  s.maps = check_tensor_of(L, 5, "sample: maps", U8, 3);
  s.person = check_tensor_of(L, 6, "sample: person", U8, 2);
  s.points = check_tensor_of(L, 7, "sample: points", F32, 2);
  lua_getfield(L, 2, "content");
  check_table(L, 8, "sample: content");
  lua_rawgeti(L, 8, 1);
  lua_rawgeti(L, 8, 2);
  s.content_w = (long)check_whole(L, 9, "sample: content: width", 0, LONG_MAX);
  s.content_h = (long)check_whole(L, 10, "sample: content: height", 0, LONG_MAX);
  return sample_write(path, &s, folder) ? 0 : raise_error(L);
}

/* sample_digest(path) → 32 digits that tell what the sample holds, by its file's directory alone (see
 * npz_digest) */
static int sample_digest(lua_State *L) {
  char out[33];
  if (!npz_digest(check_text(L, 1, "path"), out)) return raise_error(L);
  lua_pushstring(L, out);
  return 1;
}

/* sample_check(path): raises unless the whole sample is there and intact */
static int sample_check(lua_State *L) {
  Sample s;
  if (!sample_read(check_text(L, 1, "path"), &s)) return raise_error(L);
  sample_free(&s);
  return 0;
}

static Loader **to_loader(lua_State *L) {
  Loader **l = check_object(L, 1, LOADER_META, "loader");
  if (!*l) refuse(L, "loader: this loader was closed");
  return l;
}

static double number(lua_State *L, int table, const char *key, double preset) {
  double v = lua_getfield(L, table, key) == LUA_TNIL ? preset : check_finite(L, -1, key);
  lua_pop(L, 1);
  return v;
}

static lua_Integer whole(lua_State *L, int table, const char *key, lua_Integer preset) {
  int top = lua_gettop(L);
  lua_Integer v = preset;
  if (lua_getfield(L, table, key) != LUA_TNIL)
    v = check_whole(L, top + 1, lua_pushfstring(L, "loader: %s", key), LUA_MININTEGER, LUA_MAXINTEGER);
  lua_settop(L, top);
  return v;
}

/* Two positive numbers. */
static void range(lua_State *L, int table, const char *key, double out[2]) {
  out[0] = out[1] = 1;
  if (lua_getfield(L, table, key) == LUA_TTABLE)
    for (int i = 0; i < 2; i++) {
      lua_rawgeti(L, -1, i + 1);
      const char *name = lua_pushfstring(L, "augment: %s", key);
      out[i] = check_finite(L, -2, name);
      if (!(out[i] > 0)) refuse(L, "augment: %s: expected two positive numbers", key);
      lua_pop(L, 2);
    }
  lua_pop(L, 1);
}

static void read_augment(lua_State *L, Augment *a) { /* stack: ... options augment */
  int t = lua_gettop(L);
  *a = (Augment){.on = true,
                 .flip = number(L, t, "flip", 0),
                 .rotate = number(L, t, "rotate", 0),
                 .shift = number(L, t, "shift", 0),
                 .crop = number(L, t, "crop", 0),
                 .colour = number(L, t, "colour", 0),
                 .blur = number(L, t, "blur", 0),
                 .noise = number(L, t, "noise", 0),
                 .paste = number(L, t, "paste", 0),
                 .join = number(L, t, "join", 0)};
  range(L, t, "scale", a->scale);
  range(L, t, "zoom", a->zoom);
  lua_pop(L, 1);
}

/* collate = { NAME = "stack" | "concat", … }; "concat" brings NAME_index along. */
static void read_collate(lua_State *L, SampleSource *s) { /* stack: ... options collate */
  int t = lua_gettop(L);
  check_table(L, t, "loader: collate");
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    const char *how = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool concat = !strcmp(how, "concat");
    if (!name || (!concat && strcmp(how, "stack") != 0))
      refuse(L, "loader: collate: expected NAME = \"stack\" or \"concat\", found %s", name ? name : "a list");
    if (s->count + 1 + concat > FIELDS_MAX || strlen(name) + strlen("_index") >= sizeof s->field[0].name)
      refuse(L, "loader: collate: expected at most %d fields of short names, found %s too", FIELDS_MAX, name);
    int at = s->count++;
    s->field[at].how = concat ? CONCAT : STACK;
    snprintf(s->field[at].name, sizeof s->field[at].name, "%s", name);
    if (!concat) continue;
    s->field[s->count].how = INDEX;
    s->field[s->count].of = at;
    snprintf(s->field[s->count++].name, sizeof s->field[at].name, "%s_index", name);
  }
}

/* What of the options a source takes: with `collate` arrays, else hands. */
static int read_source(lua_State *L, SampleSource *s) {
  if (lua_getfield(L, 1, "collate") != LUA_TNIL) {
    read_collate(L, s);
    return arrays_source(s);
  }
  s->labelling = (Labelling){number(L, 1, "tau", 0.5), number(L, 1, "band", 0)};
  lua_getfield(L, 1, "size");
  check_table(L, -1, "loader: size");
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  s->width = (long)check_whole(L, -2, "loader: size: width", 1, 1 << 20);
  s->height = (long)check_whole(L, -1, "loader: size: height", 1, 1 << 20);
  s->stride = (long)whole(L, 1, "stride", 1);
  if (s->stride < 1 || s->stride > 32)
    refuse(L, "loader: stride: expected 1 to 32, found %d", (int)s->stride);
  if (lua_getfield(L, 1, "augment") == LUA_TTABLE) read_augment(L, &s->augment);
  hands_source(s);
  return 1;
}

/* The numbers `weights`, one for each of n paths, or NULL; they stay on the stack. */
static const double *read_weights(lua_State *L, lua_Integer n) {
  if (lua_getfield(L, 1, "weights") == LUA_TNIL) return NULL;
  const int list = lua_gettop(L);
  if (check_list(L, list, "loader: weights", INT_MAX) != n)
    refuse(L, "loader: weights: expected %I, one for each path, found %I", n,
           (lua_Integer)lua_rawlen(L, list));
  double *weights = lua_newuserdatauv(L, sizeof *weights * (size_t)(n > 0 ? n : 1), 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, list, i + 1);
    weights[i] = check_finite(L, -1, "loader: weight");
    if (!(weights[i] > 0)) refuse(L, "loader: weights: expected positive numbers, found %f", weights[i]);
    lua_pop(L, 1);
  }
  return weights;
}

/* loader{ paths = {...}, weights, batch, seed, workers = 1, shuffle = true, rank = 1, count = 1, and what a sample is:
 * collate = { NAME = "stack" | "concat" } of arrays, or of hands size = {w, h}, stride = 1,
 * augment = {...} | nil, tau, band } */
static int new_loader(lua_State *L) {
  check_table(L, 1, "loader");
  lua_settop(L, 1);
  Loader **l = lua_newuserdatauv(L, sizeof *l, 0);
  *l = NULL;
  luaL_setmetatable(L, LOADER_META);
  LoaderOptions o = {.batch = (long)whole(L, 1, "batch", 1),
                     .workers = (long)whole(L, 1, "workers", 1),
                     .rank = (long)whole(L, 1, "rank", 1) - 1,
                     .count = (long)whole(L, 1, "count", 1),
                     .seed = (uint64_t)whole(L, 1, "seed", 0)};
  lua_getfield(L, 1, "shuffle");
  o.shuffle = lua_isnil(L, -1) || lua_toboolean(L, -1);
  if (!read_source(L, &o.source)) return raise_error(L);
  lua_getfield(L, 1, "paths");
  int list = lua_gettop(L);
  lua_Integer n = check_list(L, list, "loader: paths", INT_MAX);
  const char **paths = lua_newuserdatauv(L, sizeof *paths * (size_t)(n > 0 ? n : 1), 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, list, i + 1);
    paths[i] = check_text(L, -1, "loader: path"); /* stays in the list */
    lua_pop(L, 1);
  }
  const double *weights = read_weights(L, n);
  if (!(*l = loader_new(paths, weights, (long)n, &o))) return raise_error(L);
  lua_pushvalue(L, 2);
  return 1;
}

/* loader:next() → the fields of its source by name, epoch and index, both counted from 1 */
static int next(lua_State *L) {
  Loader **l = to_loader(L);
  const SampleSource *s = loader_source(*l);
  lua_createtable(L, 0, s->count + 2);
  int table = lua_gettop(L);
  Tensor **handle[FIELDS_MAX];
  for (int i = 0; i < s->count; i++) {
    handle[i] = push_tensor(L);
    lua_setfield(L, table, s->field[i].name);
  }
  Batch b;
  if (!loader_next(*l, &b)) return raise_error(L);
  for (int i = 0; i < s->count; i++) *handle[i] = b.field[i];
  lua_pushinteger(L, b.epoch + 1);
  lua_setfield(L, table, "epoch");
  lua_pushinteger(L, b.index + 1);
  lua_setfield(L, table, "index");
  return 1;
}

/* loader:seek(epoch, index): what next() returns next, both from 1 */
static int seek(lua_State *L) {
  Loader **l = to_loader(L);
  lua_Integer epoch = check_whole(L, 2, "loader: seek: epoch", LONG_MIN, LONG_MAX),
              index = check_whole(L, 3, "loader: seek: index", LONG_MIN, LONG_MAX);
  if (epoch < 1 || index < 1)
    return refuse(L, "loader: seek: expected positions from 1, found %I, %I", epoch, index);
  loader_seek(*l, (long)epoch - 1, (long)index - 1);
  return 0;
}

/* loader:samples(epoch, index) → which of the paths that batch holds, all counted from 1 */
static int samples(lua_State *L) {
  Loader **l = to_loader(L);
  lua_Integer epoch = check_whole(L, 2, "loader: samples: epoch", 1, LONG_MAX),
              index = check_whole(L, 3, "loader: samples: index", 1, loader_batches(*l));
  lua_Integer room = loader_batch(*l);
  long *which = lua_newuserdatauv(L, sizeof *which * (size_t)room, 0);
  long count = loader_samples(*l, (long)epoch - 1, (long)index - 1, which, (long)room);
  if (count < 0) return raise_error(L);
  lua_createtable(L, (int)count, 0);
  for (long i = 0; i < count; i++) {
    lua_pushinteger(L, which[i] + 1);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int batches(lua_State *L) {
  lua_pushinteger(L, loader_batches(*to_loader(L)));
  return 1;
}

/* loader:damaged() → which of the paths could not be read when next() last failed,
 * nil when that was not why */
static int damaged(lua_State *L) {
  long which = loader_damaged(*to_loader(L));
  if (which < 0) return 0;
  lua_pushinteger(L, which + 1);
  return 1;
}

static int close_loader(lua_State *L) {
  Loader **l = check_object(L, 1, LOADER_META, "loader");
  Loader *gone = *l;
  *l = NULL;
  loader_free(gone);
  return 0;
}

void open_loader(lua_State *L) {
  luaL_newmetatable(L, LOADER_META);
  static const luaL_Reg methods[] = {
      {"next", next},       {"seek", seek},          {"batches", batches},   {"damaged", damaged},
      {"samples", samples}, {"close", close_loader}, {"__gc", close_loader}, {"__close", close_loader},
      {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, new_loader);
  lua_setfield(L, -2, "loader");
  lua_pushcfunction(L, write_sample);
  lua_setfield(L, -2, "sample_write");
  lua_pushcfunction(L, sample_digest);
  lua_setfield(L, -2, "sample_digest");
  lua_pushcfunction(L, sample_check);
  lua_setfield(L, -2, "sample_check");
}
