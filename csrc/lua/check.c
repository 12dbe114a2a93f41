/* Checks of arguments, and the messages of those that fail: one line that names the thing, the expected and
 * the found. What a single binding alone asks of its arguments stays there. */
#include "lua/lib.h"

#include "lua/handle.h"

#include <lualib.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
enum { TEXT = 1024, QUOTED = 40 };

int raise_error(lua_State *L) {
  lua_pushstring(L, error_message());
  return lua_error(L);
}

int refuse(lua_State *L, const char *format, ...) {
  char text[TEXT];
  va_list args;
  va_start(args, format);
  const char *raw = lua_pushvfstring(L, format, args);
  va_end(args);
  error_plain(text, sizeof text, raw);
  lua_pushstring(L, text);
  return lua_error(L);
}

/* A string as a message quotes it: its beginning, up to a zero byte. */
static const char *quoted(lua_State *L, int i) {
  char text[QUOTED + 16];
  size_t size;
  const char *s = lua_tolstring(L, i, &size);
  error_plain(text, QUOTED, s);
  return lua_pushfstring(L, strlen(s) < size || size >= QUOTED ? "\"%s…\"" : "\"%s\"", text);
}

const char *found(lua_State *L, int i) {
  Handle *h = to_handle(L, i);
  if (h)
    return lua_pushfstring(L, h->t ? "a tensor of %s" : "a closed tensor", h->t ? tensor_text(h->t) : "");
  switch (lua_type(L, i)) {
  case LUA_TNONE: return lua_pushliteral(L, "nothing");
  case LUA_TNIL: return lua_pushliteral(L, "nil");
  case LUA_TBOOLEAN: return lua_pushstring(L, lua_toboolean(L, i) ? "true" : "false");
  case LUA_TNUMBER:
    if (lua_isinteger(L, i)) return lua_pushfstring(L, "%I", lua_tointeger(L, i));
    return lua_pushfstring(L, "%f", lua_tonumber(L, i));
  case LUA_TSTRING: return quoted(L, i);
  default: return lua_pushfstring(L, "a %s", luaL_typename(L, i));
  }
}

/* A value of another type than the wanted one is told by its type. */
const char *found_for(lua_State *L, int i, int wanted) {
  return lua_type(L, i) == wanted || to_handle(L, i) ? found(L, i) : luaL_typename(L, i);
}

static int unexpected(lua_State *L, int i, int wanted, const char *what, const char *expected) {
  return refuse(L, "%s: expected %s, found %s", what, expected, found_for(L, i, wanted));
}

lua_Integer check_whole(lua_State *L, int i, const char *what, lua_Integer low, lua_Integer high) {
  int whole = 0;
  i = lua_absindex(L, i); /* what is pushed below must not move it */
  lua_Integer n = lua_type(L, i) == LUA_TNUMBER ? lua_tointegerx(L, i, &whole) : 0;
  if (whole && n >= low && n <= high) return n;
  const char *is = found_for(L, i, LUA_TNUMBER),
             *bounds = ""; /* in this order: what is pushed may come to lie at i */
  if (high < LUA_MAXINTEGER)
    bounds = lua_pushfstring(L, " of %I to %I", low, high);
  else if (low > LUA_MININTEGER)
    bounds = lua_pushfstring(L, " of at least %I", low);
  refuse(L, "%s: expected an integer%s, found %s", what, bounds, is);
  return 0;
}

double check_number(lua_State *L, int i, const char *what) {
  if (lua_type(L, i) != LUA_TNUMBER) unexpected(L, i, LUA_TNUMBER, what, "a number");
  return lua_tonumber(L, i);
}

double check_finite(lua_State *L, int i, const char *what) {
  double v = lua_type(L, i) == LUA_TNUMBER ? lua_tonumber(L, i) : NAN;
  if (!isfinite(v)) unexpected(L, i, LUA_TNUMBER, what, "a finite number");
  return v;
}

const char *check_text(lua_State *L, int i, const char *what) {
  size_t size = 0;
  const char *text = lua_type(L, i) == LUA_TSTRING ? lua_tolstring(L, i, &size) : NULL;
  if (!text) unexpected(L, i, LUA_TSTRING, what, "a string");
  if (strlen(text) != size)
    refuse(L, "%s: expected a string without zero bytes, found one in %s", what, found(L, i));
  return text;
}

void check_table(lua_State *L, int i, const char *what) {
  if (lua_type(L, i) != LUA_TTABLE) unexpected(L, i, LUA_TTABLE, what, "a table");
}

long check_list(lua_State *L, int i, const char *what, long most) {
  if (lua_type(L, i) != LUA_TTABLE)
    refuse(L, "%s: expected a list, found %s", what, found_for(L, i, LUA_TTABLE));
  lua_Unsigned n = lua_rawlen(L, i);
  if (n > (lua_Unsigned)most)
    refuse(L, "%s: expected a list of at most %I entries, found %I", what, (lua_Integer)most, (lua_Integer)n);
  return (long)n;
}

void *check_object(lua_State *L, int i, const char *meta, const char *what) {
  void *object = luaL_testudata(L, i, meta);
  if (!object) unexpected(L, i, LUA_TUSERDATA, what, "one (called with a colon, as x:name())");
  return object;
}

/* core.text(x) → the same, but a short plain word stands without quotes: a name where names are expected */
static int plain_text(lua_State *L) {
  size_t size = 0;
  const char *s = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : "";
  bool plain = size > 0 && size < QUOTED && strspn(s, WORD) == size;
  if (plain)
    lua_pushvalue(L, 1);
  else
    found(L, 1);
  return 1;
}

/* core.error(message, level): error() for the library's own messages, which quote what users gave: a text is
 * raised as one line, control characters written out and no longer than a message may be; other values as
 * they are. */
static int raise_plain(lua_State *L) {
  lua_settop(L, 1);
  return lua_type(L, 1) == LUA_TSTRING ? refuse(L, "%s", lua_tostring(L, 1)) : lua_error(L);
}

/* core.refuse(format, …): raises the text that string.format (the upvalue) makes of these, in the same way. */
static int refuse_formatted(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return refuse(L, "%s", lua_tostring(L, -1));
}

/* core.not_finite(t) → the first row (entry of the first dimension, from 1) of a float tensor that holds NaN
 * or an infinity, and that number; nil when there is none */
static int not_finite(lua_State *L) {
  const Tensor *t = check_host(L, 1, "not_finite");
  if (t->dtype != F32 && t->dtype != F64) return 0;
  const void *p = tensor_data(t);
  for (long i = 0; i < t->size; i++) {
    double v = t->dtype == F32 ? ((const float *)p)[i] : ((const double *)p)[i];
    if (isfinite(v)) continue;
    lua_pushinteger(L, t->rank ? i / (t->size / t->shape[0]) + 1 : 1);
    lua_pushstring(L, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
    return 2;
  }
  return 0;
}

/* core.found(x, kind?) → what messages say of x; where a Lua type is wanted, of another one its type */
static int found_text(lua_State *L) {
  const char *kind = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
  if (!kind || to_handle(L, 1) || !strcmp(kind, luaL_typename(L, 1)))
    found(L, 1);
  else
    lua_pushstring(L, luaL_typename(L, 1));
  return 1;
}

/* core.plain(text) → the text with its control characters written out (\n, \x1b), so that names of files keep a
 * message on one line and tell a terminal nothing */
static int plain(lua_State *L) {
  size_t size;
  const char *text = luaL_tolstring(L, 1, &size);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (const char *at = text; at <= text + size; at += strlen(at) + 1) { /* up to the next zero byte */
    if (at > text) luaL_addstring(&out, "\\x00");
    size_t room = 4 * strlen(at) + 1;
    char *to = luaL_prepbuffsize(&out, room);
    error_plain(to, room, at);
    luaL_addsize(&out, strlen(to));
  }
  luaL_pushresult(&out);
  return 1;
}

void open_checks(lua_State *L) {
  static const luaL_Reg functions[] = {{"found", found_text},      {"plain", plain},
                                       {"text", plain_text},       {"error", raise_plain},
                                       {"not_finite", not_finite}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
  lua_getfield(L, -1, "format");
  lua_pushcclosure(L, refuse_formatted, 1);
  lua_setfield(L, -3, "refuse");
  lua_pop(L, 1);
}
