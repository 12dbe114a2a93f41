/* Making tensors: from nested Lua tables, from a value, from the random generator. The last argument of each
 * may be { dtype, device, requires_grad }. */
#include "core/device.h"
#include "core/graph.h"
#include "core/random.h"
#include "lua/handle.h"
#include "lua/tensor.h"

#include <math.h>
#include <string.h>

#define NOTICE "cohesiv.device_notice"

Dtype check_dtype(lua_State *L, int i) {
  const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : "";
  for (int d = 0; d < DTYPES; d++)
    if (!strcmp(name, dtype_name[d])) return (Dtype)d;
  refuse(L, "dtype: expected float32, float64, uint8, int32, int64, bfloat16 or float16, found %s",
         found(L, i));
  return F32;
}

/* on_notice(f): f(text) is told what there is to know about a device that was asked for. */
static int on_notice(lua_State *L) {
  lua_settop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, NOTICE);
  return 0;
}

Device *check_device(lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TSTRING) refuse(L, "device: expected cpu or cuda, found %s", found(L, i));
  Device *d = device_find(lua_tostring(L, i));
  if (!d) raise_error(L);
  if (*device_notice() && lua_getfield(L, LUA_REGISTRYINDEX, NOTICE) == LUA_TFUNCTION) {
    lua_pushstring(L, device_notice());
    lua_call(L, 1, 0);
  }
  return d;
}

typedef struct Options {
  Dtype dtype;
  Device *device; /* NULL: not given */
  bool requires_grad;
} Options;

/* The options table at the last argument, if there is one; *n becomes the number of arguments before it. */
static Options read_options(lua_State *L, int *n, Dtype dtype) {
  Options o = {.dtype = dtype};
  int i = lua_gettop(L);
  *n = i;
  if (i < 1 || lua_type(L, i) != LUA_TTABLE || lua_rawlen(L, i)) return o;
  int empty = 1;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    empty = 0;
    if (!strcmp(key, "dtype"))
      o.dtype = check_dtype(L, lua_gettop(L));
    else if (!strcmp(key, "requires_grad"))
      o.requires_grad = lua_toboolean(L, -1);
    else if (!strcmp(key, "device"))
      o.device = check_device(L, lua_gettop(L));
    else
      refuse(L, "options: expected dtype, device or requires_grad, found %s",
             *key ? key : found(L, lua_gettop(L) - 1));
  }
  if (!empty || i > 1) *n = i - 1; /* a lone {} is data: an empty tensor */
  return o;
}

/* The tensor of the handle as the options want it; it was made on the CPU. */
static int finish(lua_State *L, Tensor **h, Options o) {
  if (o.device && (*h)->device != o.device) {
    Tensor *moved = tensor_to(*h, o.device);
    if (!moved) return raise_error(L);
    tensor_release(*h);
    *h = moved;
  }
  if (o.requires_grad) {
    if (!dtype_computes(o.dtype, (*h)->device)) {
      fail("requires_grad: expected float32 or float64, found %s", dtype_name[o.dtype]);
      return raise_error(L);
    }
    if (!((*h)->var = var_new())) return raise_error(L);
  }
  return 1;
}

/* Sizes from arguments first .. n: numbers, or one table of numbers. */
static int read_sizes(lua_State *L, int first, int n, long *shape) {
  int rank = 0, list = first == n && lua_type(L, first) == LUA_TTABLE;
  lua_Integer count = list ? (lua_Integer)lua_rawlen(L, first) : n - first + 1;
  if (count > RANK_MAX) refuse(L, "shape: expected at most %d sizes, found %I", RANK_MAX, count);
  for (int i = 0; i < count; i++) {
    int whole = 0;
    if (list)
      lua_rawgeti(L, first, i + 1);
    else
      lua_pushvalue(L, first + i);
    if (lua_type(L, -1) == LUA_TNUMBER) shape[rank++] = (long)lua_tointegerx(L, -1, &whole);
    if (!whole || shape[rank - 1] < 0)
      refuse(L, "shape: expected sizes of 0 or more, found %s", found(L, lua_gettop(L)));
    lua_pop(L, 1);
  }
  return rank;
}

/* As tensor_cast does it. */
static int64_t saturated(double v) {
  return fabs(v) < 0x1p63 ? (int64_t)v : v > 0 ? INT64_MAX : v < 0 ? INT64_MIN : 0;
}

static void put(Tensor *t, long i, double v, lua_Integer whole, int isint) {
  void *p = t->storage->data;
  switch (t->dtype) {
  case F32: ((float *)p)[i] = (float)v; break;
  case F64: ((double *)p)[i] = v; break;
  case I64: ((int64_t *)p)[i] = isint ? whole : saturated(v); break;
  default: break; /* others are cast from float64 by the caller */
  }
}

/* ---- from tables ---- */

static int measure(lua_State *L, int i, long *shape) {
  int rank = 0;
  lua_pushvalue(L, i);
  while (lua_type(L, -1) == LUA_TTABLE) {
    if (rank == RANK_MAX) refuse(L, "tensor: expected at most %d levels of tables", RANK_MAX);
    shape[rank++] = (long)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
  return rank;
}

static void read_nested(lua_State *L, Tensor *t, int dim, long *at) {
  if (dim == t->rank) {
    int isint;
    if (lua_type(L, -1) != LUA_TNUMBER)
      refuse(L, "tensor: element %I: expected a number, found %s", (lua_Integer)*at + 1,
             found_for(L, lua_gettop(L), LUA_TNUMBER));
    lua_Integer whole = lua_tointegerx(L, -1, &isint);
    put(t, (*at)++, lua_tonumber(L, -1), whole, isint);
    return;
  }
  if (lua_type(L, -1) != LUA_TTABLE)
    refuse(L, "tensor: level %d: expected tables of %I entries, found %s", dim + 1,
           (lua_Integer)t->shape[dim], found(L, lua_gettop(L)));
  if ((long)lua_rawlen(L, -1) != t->shape[dim])
    refuse(L, "tensor: level %d: expected tables of %I entries, found table of %I", dim + 1,
           (lua_Integer)t->shape[dim], (lua_Integer)lua_rawlen(L, -1));
  luaL_checkstack(L, 3, NULL);
  for (long i = 1; i <= t->shape[dim]; i++) {
    lua_rawgeti(L, -1, i);
    read_nested(L, t, dim + 1, at);
    lua_pop(L, 1);
  }
}

static int direct(Dtype d) { return d == F32 || d == F64 || d == I64; }

/* A tensor to fill through put(): float64 in place of the kinds that put does not write. */
static Tensor **draft(lua_State *L, Dtype dtype, int rank, const long *shape) {
  Tensor **h = push_tensor(L);
  if (!(*h = tensor_new(direct(dtype) ? dtype : F64, rank, shape))) raise_error(L);
  return h;
}

static int deliver(lua_State *L, Tensor **h, Options o) {
  if (!direct(o.dtype)) {
    Tensor *wide = *h, *t = tensor_cast(wide, o.dtype);
    if (!t) return raise_error(L);
    *h = t;
    tensor_release(wide);
  }
  return finish(L, h, o);
}

/* tensor(table | number, options) */
static int from_table(lua_State *L) {
  int n;
  Options o = read_options(L, &n, F32);
  long shape[RANK_MAX], at = 0;
  if (n != 1) return refuse(L, "tensor: expected (table or number, options), found %d arguments", n);
  if (to_handle(L, 1)) {
    Tensor *t = check_tensor(L, 1, "tensor");
    Tensor **h = push_tensor(L);
    if (!(*h = tensor_cast(t, lua_gettop(L) > 2 ? o.dtype : t->dtype))) return raise_error(L);
    o.dtype = (*h)->dtype;
    return finish(L, h, o);
  }
  int rank = measure(L, 1, shape);
  Tensor **h = draft(L, o.dtype, rank, shape);
  lua_pushvalue(L, 1);
  read_nested(L, *h, 0, &at);
  lua_pop(L, 1);
  return deliver(L, h, o);
}

/* full(value, sizes..., options) */
static int full(lua_State *L) {
  int n;
  lua_Number v = check_number(L, 1, "full: value");
  Options o = read_options(L, &n, F32);
  long shape[RANK_MAX];
  int rank = read_sizes(L, 2, n, shape);
  Device *d = o.device ? o.device : device_cpu();
  Tensor **h = push_tensor(L);
  if (v == 0)
    *h = tensor_zeros_on(d, o.dtype, rank, shape);
  else {
    Tensor *one = tensor_new(F64, 0, NULL);
    if (!one) return raise_error(L);
    *(double *)one->storage->data = v;
    Tensor *unit = tensor_cast(one, o.dtype);
    tensor_release(one);
    if (unit && (*h = tensor_on(d, o.dtype, rank, shape)) &&
        !d->fill(d, (*h)->storage->data, unit->storage->data, dtype_bytes[o.dtype], (*h)->size)) {
      tensor_release(*h);
      *h = NULL;
    }
    tensor_release(unit);
  }
  if (!*h) return raise_error(L);
  return finish(L, h, o);
}

/* arange(end) or arange(start, end, step?): start (0), start + step, ... up to but not including end, as
 * NumPy's */
static int arange(lua_State *L) {
  int n;
  Options o = read_options(L, &n, F32);
  if (n > 3) return refuse(L, "arange: expected (start, end, step, options), found %d numbers", n);
  lua_Number a = n > 1 ? check_finite(L, 1, "arange: start") : 0,
             b = check_finite(L, n > 1 ? 2 : 1, "arange: end");
  lua_Number step = n > 2 ? check_finite(L, 3, "arange: step") : 1;
  if (step == 0) return refuse(L, "arange: step: expected a number other than 0");
  double count = ceil((b - a) / step);
  if (!(count < 1e12)) return refuse(L, "arange: expected a range of fewer than 10^12 numbers");
  long size = count < 0 ? 0 : (long)count;
  Tensor **h = draft(L, o.dtype, 1, &size);
  for (long i = 0; i < size; i++) {
    double v = a + (double)i * step;
    lua_Integer whole = fabs(v) < 0x1p62 ? (lua_Integer)v : 0;
    put(*h, i, v, whole, v == (double)whole);
  }
  return deliver(L, h, o);
}

static int eye(lua_State *L) {
  int n;
  Options o = read_options(L, &n, F32);
  long shape[RANK_MAX] = {(long)check_whole(L, 1, "eye: rows", 0, LUA_MAXINTEGER)};
  shape[1] = n > 1 ? (long)check_whole(L, 2, "eye: columns", 0, LUA_MAXINTEGER) : shape[0];
  Tensor **h = push_tensor(L);
  if (!(*h = tensor_zeros(direct(o.dtype) ? o.dtype : F64, 2, shape))) return raise_error(L);
  for (long i = 0; i < shape[0] && i < shape[1]; i++) put(*h, i * shape[1] + i, 1, 1, 1);
  return deliver(L, h, o);
}

/* ---- random numbers: one generator per process, one stream per call ---- */

static uint64_t seed_value, next_stream;

static int seed(lua_State *L) {
  uint64_t value = (uint64_t)check_whole(L, 1, "seed", LUA_MININTEGER, LUA_MAXINTEGER);
  next_stream =
      lua_isnoneornil(L, 2) ? 0 : (uint64_t)check_whole(L, 2, "seed: stream", LUA_MININTEGER, LUA_MAXINTEGER);
  seed_value = value;
  return 0;
}

/* random_state() → seed, stream: what seed() takes to go on from here */
static int random_state(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)seed_value);
  lua_pushinteger(L, (lua_Integer)next_stream);
  return 2;
}

static int draw(lua_State *L, double (*next)(Random *)) {
  int n;
  Options o = read_options(L, &n, F32);
  long shape[RANK_MAX];
  int rank = read_sizes(L, 1, n, shape);
  Tensor **h = draft(L, o.dtype, rank, shape);
  Random r;
  random_start(&r, seed_value, next_stream++);
  for (long i = 0; i < (*h)->size; i++) put(*h, i, next(&r), 0, 0);
  return deliver(L, h, o);
}

static int rand_(lua_State *L) { return draw(L, random_uniform); }
static int randn(lua_State *L) { return draw(L, random_normal); }

void open_makers(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"tensor", from_table},   {"full", full},   {"arange", arange}, {"eye", eye},
      {"rand", rand_},          {"randn", randn}, {"seed", seed},     {"random_state", random_state},
      {"on_notice", on_notice}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
