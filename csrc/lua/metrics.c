/* core.metrics: the evaluator's counting and the maps that it thresholds, for Lua. Masks are uint8 H×W
 * (anything but 0 is in), maps float32 H×W. Checks shapes and passes on; what is computed is told in
 * data/metrics.h. */
#include "data/metrics.h"
#include "data/saliency.h"
#include "lua/lib.h"

#include <limits.h>
#include <string.h>

enum { NUMBERS_MAX = 1 << 24, DRAWS_MAX = 1 << 24, SIDE_MAX = 1 << 20 };

static Tensor *check_mask(lua_State *L, int i, const char *what, const Tensor *like) {
  Tensor *t = check_tensor_of(L, i, what, U8, 2);
  if (like && (t->shape[0] != like->shape[0] || t->shape[1] != like->shape[1]))
    refuse(L, "%s: expected shape %s, found %s", what, tensor_text(like), tensor_text(t));
  return t;
}

static Tensor *optional_mask(lua_State *L, int i, const char *what, const Tensor *like) {
  return lua_isnoneornil(L, i) ? NULL : check_mask(L, i, what, like);
}

static Tensor *check_map(lua_State *L, int i, const char *what, const Tensor *like) {
  Tensor *t = check_tensor_of(L, i, what, F32, 2);
  if (like && (t->shape[0] != like->shape[0] || t->shape[1] != like->shape[1]))
    refuse(L, "%s: expected shape %s, found %s", what, tensor_text(like), tensor_text(t));
  return t;
}

static const void *data_of(const Tensor *t) { return t ? tensor_data(t) : NULL; }

/* A list of numbers as a block that Lua owns (left on the stack). */
static double *check_numbers(lua_State *L, int i, const char *what, int *count) {
  int n = (int)check_list(L, i, what, NUMBERS_MAX);
  double *numbers = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *numbers, 0);
  for (int k = 0; k < n; k++) {
    if (lua_rawgeti(L, i, k + 1) != LUA_TNUMBER)
      refuse(L, "%s[%d]: expected a number, found %s", what, k + 1, found(L, -1));
    numbers[k] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  *count = n;
  return numbers;
}

static void check_ascending(lua_State *L, const double *t, int n, const char *what) {
  if (n < 1 || n > 4096) refuse(L, "%s: expected 1 to 4096 thresholds, found %d", what, n);
  for (int i = 1; i < n; i++)
    if (!(t[i] > t[i - 1]))
      refuse(L, "%s: expected ascending thresholds, found %f after %f", what, t[i], t[i - 1]);
}

/* overlap(a, b, ignore?) → pixels in both, in either */
static int overlap(lua_State *L) {
  Tensor *a = check_mask(L, 1, "prediction", NULL), *b = check_mask(L, 2, "truth", a);
  Tensor *ignore = optional_mask(L, 3, "ignore", a);
  long inter, uni;
  metrics_overlap(data_of(a), data_of(b), data_of(ignore), a->size, &inter, &uni);
  lua_pushinteger(L, inter);
  lua_pushinteger(L, uni);
  return 2;
}

/* table(first, second?, truth, ignore?, thresholds, thresholds?) → IoU, n1×n2 */
static int table(lua_State *L) {
  int n1, n2 = 1;
  Tensor *first = check_map(L, 1, "first map", NULL);
  Tensor *second = lua_isnoneornil(L, 2) ? NULL : check_map(L, 2, "second map", first);
  Tensor *truth = check_mask(L, 3, "truth", first), *ignore = optional_mask(L, 4, "ignore", first);
  double *t1 = check_numbers(L, 5, "thresholds", &n1), *t2 = NULL;
  check_ascending(L, t1, n1, "thresholds");
  if (second) {
    t2 = check_numbers(L, 6, "second thresholds", &n2);
    check_ascending(L, t2, n2, "second thresholds");
  }
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F32, 2, (long[]){n1, n2}))) return raise_error(L);
  float *iou = tensor_write(*out);
  if (!iou || !metrics_table(data_of(first), data_of(second), data_of(truth), data_of(ignore), first->size,
                             t1, n1, t2, n2, iou))
    return raise_error(L);
  return 1;
}

/* over(first, t1, second?, t2?) → mask of the pixels above */
static int over(lua_State *L) {
  Tensor *first = check_map(L, 1, "first map", NULL);
  double t1 = check_number(L, 2, "first threshold"), t2 = 0;
  Tensor *second = lua_isnoneornil(L, 3) ? NULL : check_map(L, 3, "second map", first);
  if (second) t2 = check_number(L, 4, "second threshold");
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(U8, 2, first->shape))) return raise_error(L);
  uint8_t *mask = tensor_write(*out);
  if (!mask) return raise_error(L);
  metrics_over(data_of(first), t1, data_of(second), t2, first->size, mask);
  return 1;
}

/* join(a, b) → the larger value at each pixel: the union of two masks, or the maximum of two maps */
static int join(lua_State *L) {
  Tensor *a = check_host(L, 1, "first"), *b = check_tensor_of(L, 2, "second", a->dtype, a->rank);
  if (!tensor_same_shape(a, b) || (a->dtype != U8 && a->dtype != F32))
    return refuse(L, "join: expected two masks or two maps of one shape, found %s and %s", tensor_text(a),
                  tensor_text(b));
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(a->dtype, a->rank, a->shape))) return raise_error(L);
  void *to = tensor_write(*out);
  if (!to) return raise_error(L);
  if (a->dtype == U8) {
    const uint8_t *x = tensor_data(a), *y = tensor_data(b);
    for (long i = 0; i < a->size; i++) ((uint8_t *)to)[i] = x[i] > y[i] ? x[i] : y[i];
  } else {
    const float *x = tensor_data(a), *y = tensor_data(b);
    for (long i = 0; i < a->size; i++) ((float *)to)[i] = x[i] > y[i] ? x[i] : y[i];
  }
  return 1;
}

/* bootstrap(sums, counts, draws, seed) → low, high, p */
static int bootstrap(lua_State *L) {
  int groups, others;
  double low, high, p, *sums = check_numbers(L, 1, "sums", &groups),
                       *counts = check_numbers(L, 2, "counts", &others);
  if (groups != others)
    return refuse(L, "counts: expected %d of them, as many as sums, found %d", groups, others);
  if (!metrics_bootstrap(sums, counts, groups, (int)check_whole(L, 3, "draws", 1, DRAWS_MAX),
                         (uint64_t)check_whole(L, 4, "seed", LUA_MININTEGER, LUA_MAXINTEGER), &low, &high,
                         &p))
    return raise_error(L);
  lua_pushnumber(L, low);
  lua_pushnumber(L, high);
  lua_pushnumber(L, p);
  return 3;
}

/* contact(hand, object, reach) → mask */
static int contact(lua_State *L) {
  Tensor *hand = check_mask(L, 1, "hand mask", NULL), *object = check_mask(L, 2, "object mask", hand);
  double reach = lua_isnoneornil(L, 3) ? 0.02 : check_number(L, 3, "reach");
  if (!(reach >= 0 && reach <= 1)) return refuse(L, "reach: expected 0 to 1, found %f", reach);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(U8, 2, hand->shape))) return raise_error(L);
  uint8_t *mask = tensor_write(*out);
  if (!mask || !metrics_contact(data_of(hand), data_of(object), hand->shape[0], hand->shape[1], reach, mask))
    return raise_error(L);
  return 1;
}

/* resize(map, width, height, scale, columns, rows) → height×width: the image covers `columns`×`rows` of the
 * map, with `scale` of its pixels per pixel of the result */
static int resize(lua_State *L) {
  Tensor *map = check_map(L, 1, "map", NULL);
  long width = check_whole(L, 2, "width", 1, SIDE_MAX), height = check_whole(L, 3, "height", 1, SIDE_MAX);
  double scale = check_finite(L, 4, "scale");
  long columns = check_whole(L, 5, "columns", 1, SIDE_MAX), rows = check_whole(L, 6, "rows", 1, SIDE_MAX);
  if (!(scale > 0) || columns < 1 || rows < 1 || columns > map->shape[1] || rows > map->shape[0])
    return refuse(L, "resize: expected a map that holds %d x %d (width x height), found %s (height x width)",
                  (int)columns, (int)rows, tensor_text(map));
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F32, 2, (long[]){height, width}))) return raise_error(L);
  float *to = tensor_write(*out);
  if (!to || !metrics_resize(data_of(map), map->shape[1], columns, rows, scale, to, height, width))
    return raise_error(L);
  return 1;
}

/* project(map H×W×C, vector C, cosine?) → H×W: inner products, or cosines */
static int project(lua_State *L) {
  Tensor *map = check_tensor_of(L, 1, "map", F32, 3), *vector = check_tensor_of(L, 2, "vector", F32, 1);
  int cosine = lua_toboolean(L, 3);
  if (vector->size != map->shape[2])
    return refuse(L, "vector: expected %d values, found %d", (int)map->shape[2], (int)vector->size);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F32, 2, map->shape))) return raise_error(L);
  float *to = tensor_write(*out);
  long n = map->shape[0] * map->shape[1];
  if (!to || !metrics_project(data_of(map), n, map->shape[2], data_of(vector), cosine, to))
    return raise_error(L);
  return 1;
}

/* disc(x, y, width, height) → height×width: −distance / width */
static int disc(lua_State *L) {
  double x = check_finite(L, 1, "x"), y = check_finite(L, 2, "y");
  long width = check_whole(L, 3, "width", 1, SIDE_MAX), height = check_whole(L, 4, "height", 1, SIDE_MAX);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F32, 2, (long[]){height, width}))) return raise_error(L);
  float *to = tensor_write(*out);
  if (!to) return raise_error(L);
  metrics_disc(x, y, height, width, to);
  return 1;
}

/* sample(Z H×W×C, label H×W int32, class, count, seed, stream, normalise) → sum of the vectors (C),
 * how many */
static int sample(lua_State *L) {
  Tensor *map = check_tensor_of(L, 1, "map", F32, 3), *label = check_tensor_of(L, 2, "label", I32, 2);
  if (label->shape[0] != map->shape[0] || label->shape[1] != map->shape[1])
    return refuse(L, "label: expected the size of the map %s, found %s", tensor_text(map),
                  tensor_text(label));
  int which = (int)check_whole(L, 3, "class", 0, INT32_MAX);
  long count = check_whole(L, 4, "count", 0, LONG_MAX);
  uint64_t seed = (uint64_t)check_whole(L, 5, "seed", LUA_MININTEGER, LUA_MAXINTEGER),
           stream = (uint64_t)check_whole(L, 6, "stream", LUA_MININTEGER, LUA_MAXINTEGER);
  int normalise = lua_toboolean(L, 7);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_zeros(F64, 1, map->shape + 2))) return raise_error(L);
  double *sum = tensor_write(*out);
  if (!sum) return raise_error(L);
  long found = metrics_sample(data_of(map), data_of(label), label->size, map->shape[2], which, count, seed,
                              stream, normalise, sum);
  if (found < 0) return raise_error(L);
  lua_pushinteger(L, found);
  return 2;
}

/* saliency(image H×W×3 uint8) → H×W in [0, 1] */
static int saliency(lua_State *L) {
  Tensor *image = check_tensor_of(L, 1, "image", U8, 3);
  if (image->shape[2] != 3) return refuse(L, "image: expected HxWx3, found %s", tensor_text(image));
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F32, 2, image->shape))) return raise_error(L);
  float *to = tensor_write(*out);
  if (!to || !saliency_map(data_of(image), image->shape[0], image->shape[1], to)) return raise_error(L);
  return 1;
}

void open_metrics(lua_State *L) {
  static const luaL_Reg functions[] = {{"overlap", overlap},   {"table", table},         {"over", over},
                                       {"join", join},         {"contact", contact},     {"resize", resize},
                                       {"project", project},   {"disc", disc},           {"sample", sample},
                                       {"saliency", saliency}, {"bootstrap", bootstrap}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "metrics");
}
