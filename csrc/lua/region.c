/* Parts of tensors in Lua: t[{ i, {first, last}, {} }] read and written, and t as a whole written. */
#include "core/device.h"
#include "core/graph.h"
#include "lua/handle.h"
#include "lua/tensor.h"
#include "ops/engine.h"

#include <string.h>

/* ---- t[{ … }] ---- */

/* One entry per dimension of t: which part of it is meant. */
typedef struct Region {
  long start[RANK_MAX], count[RANK_MAX];
  bool single[RANK_MAX]; /* an index: this dimension is not one of the value's */
} Region;

/* A bound of 1 to n at the stack's top, which is taken off; 0: none. */
static long take_bound(lua_State *L, long n) {
  int whole = 0;
  lua_Integer at = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
  lua_pop(L, 1);
  return whole && at >= 1 && at <= n ? (long)at : 0;
}

/* The entry of dimension d (from 0), at the stack's top, where it stays: an index, {first, last} or {}. */
static void read_entry(lua_State *L, int d, long n, Region *r) {
  int entry = lua_gettop(L);
  if (lua_type(L, entry) == LUA_TNUMBER) {
    lua_pushvalue(L, entry);
    long at = take_bound(L, n);
    if (!at)
      refuse(L, "index: dimension %d: expected 1 to %I, found %s", d + 1, (lua_Integer)n, found(L, entry));
    r->start[d] = at - 1, r->count[d] = 1, r->single[d] = true;
    return;
  }
  if (lua_type(L, entry) != LUA_TTABLE)
    refuse(L, "index: dimension %d: expected a number, {first, last} or {}, found %s", d + 1,
           found(L, entry));
  lua_Unsigned bounds = lua_rawlen(L, entry);
  if (!bounds) return;
  lua_rawgeti(L, entry, 1);
  long first = take_bound(L, n);
  lua_rawgeti(L, entry, 2);
  long last = take_bound(L, n);
  if (bounds != 2 || !first || last < first) {
    lua_rawgeti(L, entry, 1);
    lua_rawgeti(L, entry, 2);
    const char *a = found(L, entry + 1), *b = found(L, entry + 2);
    refuse(L, "index: dimension %d: expected a range {first, last} within 1 to %I, found {%s, %s}", d + 1,
           (lua_Integer)n, a, b);
  }
  r->start[d] = first - 1, r->count[d] = last - first + 1;
}

/* The region of t that a key means: i, which is { i }, or { i, {first, last}, {} }, where dimensions that are left
 * out are taken whole. */
static void read_region(lua_State *L, const Tensor *t, int key, Region *r) {
  bool listed = lua_type(L, key) == LUA_TTABLE;
  lua_Unsigned n = listed ? lua_rawlen(L, key) : 1;
  for (int d = 0; d < t->rank; d++) r->start[d] = 0, r->count[d] = t->shape[d], r->single[d] = false;
  if (n > (lua_Unsigned)t->rank)
    refuse(L, "index: expected at most %d entries for %s, found %I", t->rank, tensor_text(t), (lua_Integer)n);
  for (int d = 0; d < (int)n; d++) {
    if (listed)
      lua_rawgeti(L, key, d + 1);
    else
      lua_pushvalue(L, key);
    read_entry(L, d, t->shape[d], r);
    lua_pop(L, 1);
  }
}

/* t:slice(key), t[key]: the part that a key { i, {first, last}, {} } means, by the ops select and narrow; a number
 * where no dimension is left. */
int region_slice(lua_State *L) {
  const Tensor *t = check_tensor(L, 1, "slice");
  Region r;
  if (lua_type(L, 2) != LUA_TTABLE) refuse(L, "slice: expected a table, found %s", found(L, 2));
  lua_settop(L, 2);
  read_region(L, t, 2, &r);
  Tensor **part = NULL;
  int dim = 1;
  for (int d = 0; d < t->rank; d++) {
    double args[] = {dim, (double)(r.start[d] + 1), (double)r.count[d]};
    bool whole = !r.single[d] && r.count[d] == t->shape[d];
    if (!r.single[d]) dim++;
    if (whole) continue;
    Tensor *from = part ? *part : to_tensor(L, 1), *to = NULL;
    if (!part) part = push_tensor(L);
    to = op_apply(r.single[d] ? "select" : "narrow", &from, 1, args, r.single[d] ? 2 : 3);
    if (!to) return raise_error(L);
    tensor_release(*part);
    *part = to;
  }
  if (!part) lua_pushvalue(L, 1);
  if (dim > 1) return 1;
  lua_replace(L, 1);
  return tensor_item(L);
}

/* ---- t[...] = v ---- */

/* Copies rows of the value (NULL: the one element at `one`, repeated) into the region. */
static void write_region(char *to, const char *from, const char *one, const Tensor *t, const Region *r) {
  size_t es = dtype_bytes[t->dtype];
  long stride[RANK_MAX + 1];
  stride[t->rank] = 1;
  for (int k = t->rank - 1; k >= 0; k--) stride[k] = stride[k + 1] * t->shape[k];
  long rows = 1, inner = t->rank ? r->count[t->rank - 1] : 1;
  for (int k = 0; k < t->rank - 1; k++) rows *= r->count[k];
  for (long row = 0; row < rows; row++) {
    long rest = row, at = t->rank ? r->start[t->rank - 1] : 0;
    for (int k = t->rank - 2; k >= 0; k--) {
      at += (r->start[k] + rest % r->count[k]) * stride[k + 1];
      rest /= r->count[k];
    }
    char *p = to + (size_t)at * es;
    if (from)
      memcpy(p, from + (size_t)(row * inner) * es, (size_t)inner * es);
    else
      for (long i = 0; i < inner; i++) memcpy(p + (size_t)i * es, one, es);
  }
}

/* Writes v, of t's dtype, into the region: as a whole on the device itself; a part of what is elsewhere comes over
 * and goes back. */
static int write_on(Tensor *t, const Region *r, Tensor *v, long need) {
  Device *d = t->device;
  if (need == t->size && v->size != 1) {
    void *to = tensor_write(t);
    return to && device_copy(d, to, v->device, tensor_data(v), tensor_bytes(t));
  }
  Tensor *value = tensor_to(v, device_cpu()), *all = value ? tensor_to(t, device_cpu()) : NULL;
  void *to = all ? tensor_write(t) : NULL; /* after the value was read: it may share this storage */
  int ok = to != NULL;
  if (ok && need == t->size)
    ok = d->fill(d, to, tensor_data(value), dtype_bytes[t->dtype], t->size);
  else if (ok) {
    const char *from = tensor_data(value);
    char *part = tensor_write(all);
    ok = part != NULL;
    if (ok) write_region(part, v->size == 1 ? NULL : from, from, t, r);
    ok = ok && device_copy(d, to, device_cpu(), part, tensor_bytes(t));
  }
  tensor_release(value);
  tensor_release(all);
  return ok;
}

int region_assign(lua_State *L, Tensor *t, const char *what) {
  Region r;
  if (t->var && t->var->node) {
    fail("%s: this tensor is part of a graph; write to its :detach(), or use co.where", what);
    return raise_error(L);
  }
  read_region(L, t, 2, &r);
  long need = 1, shape[RANK_MAX];
  int rank = 0;
  for (int d = 0; d < t->rank; d++) {
    need *= r.count[d];
    if (!r.single[d]) shape[rank++] = r.count[d];
  }
  Tensor *v = to_tensor(L, 3);
  if (!v && lua_type(L, 3) != LUA_TNUMBER) v = check_tensor(L, 3, what);
  Tensor **cast = push_tensor(L);
  if (v && v->size != 1 && (v->rank != rank || memcmp(v->shape, shape, sizeof(long) * (size_t)rank))) {
    fail("%s: expected a number or %s, found %s", what, shape_text(rank, shape), tensor_text(v));
    return raise_error(L);
  }
  if (!v) {
    Tensor **number = push_tensor(L);
    if (!(*number = tensor_new(F64, 0, NULL))) return raise_error(L);
    *(double *)(*number)->storage->data = lua_tonumber(L, 3);
    v = *number;
  }
  if (!(*cast = tensor_cast(v, t->dtype))) return raise_error(L);
  if (!need) return 0;
  if (t->device->kind != DEVICE_CPU || (*cast)->device->kind != DEVICE_CPU)
    return write_on(t, &r, *cast, need) ? 0 : raise_error(L);
  char *to = tensor_write(t); /* after the value was read: it may share this storage */
  if (!to) return raise_error(L);
  const char *from = tensor_data(*cast);
  write_region(to, v->size == 1 ? NULL : from, from, t, &r);
  return 0;
}

/* t[{}] = v, with v at 2, → t */
static int assign_all(lua_State *L, Tensor *t, const char *what) {
  lua_settop(L, 2);
  lua_newtable(L);
  lua_insert(L, 2);
  region_assign(L, t, what); /* stack: t, {}, v */
  lua_settop(L, 1);
  return 1;
}

/* t:fill(v) → t */
static int fill(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "fill");
  if (to_handle(L, 2))
    return refuse(L, "fill: expected a number, found %s (t:copy takes tensors)", found(L, 2));
  check_number(L, 2, "fill");
  return assign_all(L, t, "fill");
}

/* t:copy(v) → t, now with the numbers of v, in its own dtype: a tensor of t's shape, one element or a number */
static int copy(lua_State *L) {
  Tensor *t = check_tensor(L, 1, "copy");
  if (lua_type(L, 2) != LUA_TNUMBER) check_tensor(L, 2, "copy");
  return assign_all(L, t, "copy");
}

void open_regions(lua_State *L) {
  static const luaL_Reg methods[] = {{"slice", region_slice}, {"fill", fill}, {"copy", copy}, {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
}
