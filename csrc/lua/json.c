/* core.json: JSON texts as Lua values and back. Nulls are core.json.null, a light userdata of nothing, which
 * is true; whatever memory is taken belongs to Lua, so that an error, raised anywhere, loses none. Files are
 * read and written elsewhere. */
#include "io/json.h"

#include "lua/lib.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

/* The text or key that was read last. */
static void push_text(lua_State *L, const Json *j) {
  if (!j->escaped) {
    lua_pushlstring(L, j->token + 1, j->size);
    return;
  }
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, j->size);
  luaL_pushresultsize(&b, json_text(j, to));
}

/* A list or an object around what is read: its table's place on the stack. The entries of a list are gathered
 * above it, and in place of its table stands nil at first: most tables are then made with the size that they
 * have in the end. */
typedef struct Level {
  bool object;
  int table;
  lua_Integer count; /* of the entries in the table of a list */
} Level;
enum { GATHERED = 32 };

static void put_entries(lua_State *L, Level *list) {
  int n = lua_gettop(L) - list->table;
  if (lua_isnil(L, list->table)) {
    lua_createtable(L, n, 0);
    lua_replace(L, list->table);
  }
  for (int i = n; i > 0; i--) lua_rawseti(L, list->table, list->count + i);
  list->count += n;
}

static Level begin_level(lua_State *L, bool object) {
  if (object)
    lua_newtable(L);
  else
    lua_pushnil(L);
  return (Level){object, lua_gettop(L), 0};
}

/* Pushes what a piece is by itself. */
static void push_piece(lua_State *L, const Json *j, JsonPiece piece) {
  switch (piece) {
  case JSON_NULL: lua_pushlightuserdata(L, NULL); break;
  case JSON_NUMBER: lua_pushnumber(L, json_number(j)); break;
  case JSON_TEXT:
  case JSON_KEY: push_text(L, j); break;
  default: lua_pushboolean(L, piece == JSON_TRUE);
  }
}

/* decode(text, what = "json") → its value; what: how messages call it */
static int l_decode(lua_State *L) {
  const char *what = lua_isnoneornil(L, 2) ? "json" : check_text(L, 2, "what");
  Json j;
  JsonPiece piece;
  Level levels[JSON_DEPTH + 1], *in = levels; /* the innermost one */
  const char *twice = NULL;                   /* the first key that its object had before */
  size_t size, twice_size = 0;
  if (lua_type(L, 1) != LUA_TSTRING) return refuse(L, "%s: expected JSON, found %s", what, found(L, 1));
  const char *text = lua_tolstring(L, 1, &size);
  if (!lua_checkstack(L, JSON_DEPTH * (1 + GATHERED) + LUA_MINSTACK))
    return refuse(L, "%s: expected memory for its values, found none left", what);
  if (!json_begin(&j, what, "JSON", text, size)) return raise_error(L);
  while ((piece = json_next(&j)) != JSON_END) {
    if (piece == JSON_WRONG) return raise_error(L);
    if (piece == JSON_LIST || piece == JSON_OBJECT) {
      *++in = begin_level(L, piece == JSON_OBJECT);
      continue;
    }
    if (piece != JSON_CLOSE) {
      push_piece(L, &j, piece);
    } else {
      if (!in->object) put_entries(L, in);
      in--; /* its table is on top */
    }
    if (piece == JSON_KEY) {
      lua_pushvalue(L, -1);
      if (lua_rawget(L, in->table) != LUA_TNIL && !twice) twice = j.token, twice_size = j.size;
      lua_pop(L, 1);
    } else if (in > levels && in->object) {
      lua_rawset(L, in->table);
    } else if (in > levels && lua_gettop(L) - in->table == GATHERED) {
      put_entries(L, in);
    }
  }
  if (!twice) return 1;
  json_twice(&j, twice, twice_size);
  return raise_error(L);
}

/* ---- writing ---- */

#define WRITER_META "cohesiv.json.Writer"
#define LIST_META "cohesiv.json.List" /* marks what is a list even when it is empty */
enum { HOLES = 1000 };                /* a list may have so many places, whatever of them is empty */

static int writer_free(lua_State *L) {
  JsonWriter *w = luaL_checkudata(L, 1, WRITER_META);
  bytes_free(&w->text);
  return 0;
}

static JsonWriter *push_writer(lua_State *L) {
  JsonWriter *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (JsonWriter){0};
  luaL_setmetatable(L, WRITER_META);
  return w;
}

/* What was written, as a string. */
static int give_text(lua_State *L, JsonWriter *w) {
  lua_pushlstring(L, (const char *)w->text.data, w->text.size);
  bytes_free(&w->text);
  return 1;
}

static int cannot(lua_State *L, const char *what) {
  return refuse(L, "json: expected a value that JSON can hold, found: %s", what);
}

static void check(lua_State *L, int ok) {
  if (!ok) raise_error(L);
}

static void number_text(lua_State *L, double value, char room[JSON_NUMBER_ROOM]) {
  if (!isfinite(value)) cannot(L, isnan(value) ? "NaN" : "an infinity");
  json_number_text(value, room);
}

/* One key of an object. */
typedef struct Key {
  const char *text; /* NULL: that of a number, in room */
  size_t size;
  char room[JSON_NUMBER_ROOM];
  lua_Integer place; /* in the list of keys */
} Key;

static const char *key_text(const Key *k) { return k->text ? k->text : k->room; }

static int by_text(const void *a, const void *b) {
  const Key *x = a, *y = b;
  int order = bytes_order(key_text(x), x->size, key_text(y), y->size);
  return order ? order : !x->text - !y->text;
}

/* Pushes the list of keys of the table on top, and theirs as texts, sorted. */
static Key *push_keys(lua_State *L, lua_Integer *count) {
  *count = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) ++*count;
  lua_createtable(L, (int)*count, 0);
  Key *keys = lua_newuserdatauv(L, (size_t)*count * sizeof *keys, 0), *k = keys;
  lua_pushnil(L);
  for (; lua_next(L, -4); k++) {
    lua_pop(L, 1);
    *k = (Key){.place = k - keys + 1};
    if (lua_type(L, -1) == LUA_TSTRING)
      k->text = lua_tolstring(L, -1, &k->size);
    else if (lua_type(L, -1) == LUA_TNUMBER)
      number_text(L, lua_tonumber(L, -1), k->room), k->size = strlen(k->room);
    else
      cannot(L, lua_pushfstring(L, "a %s as a key", luaL_typename(L, -1)));
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, k->place);
  }
  if (*count) qsort(keys, (size_t)*count, sizeof *keys, by_text);
  return keys;
}

static void write_value(lua_State *L, JsonWriter *w, int depth);

/* The members of the table on top; what stands between them is not for what they hold. */
static void write_members(lua_State *L, JsonWriter *w, int depth) {
  const char *comma = w->comma, *colon = w->colon;
  lua_Integer count;
  const Key *keys = push_keys(L, &count);
  for (lua_Integer i = 0; i < count; i++) {
    check(L, json_add_key_bytes(w, key_text(&keys[i]), keys[i].size));
    w->comma = w->colon = NULL;
    lua_rawgeti(L, -2, keys[i].place);
    lua_rawget(L, -4);
    write_value(L, w, depth);
    lua_pop(L, 1);
    w->comma = comma, w->colon = colon;
  }
  lua_pop(L, 2);
}

/* The largest key of the table on top when it is a list, which may have holes; -1 for an object. */
static lua_Integer list_size(lua_State *L) {
  lua_Integer largest = 0, count = 0;
  for (lua_pushnil(L); lua_next(L, -2); count++) {
    lua_pop(L, 1);
    lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (key < 1) return lua_pop(L, 1), -1;
    if (key > largest) largest = key;
  }
  if (largest > HOLES && largest > 2 * count) cannot(L, "a list of more holes than values");
  if (largest) return largest;
  int marked = lua_getmetatable(L, -1);
  if (marked) {
    luaL_getmetatable(L, LIST_META);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  return marked - 1;
}

static void write_table(lua_State *L, JsonWriter *w, int depth) {
  if (depth > JSON_DEPTH) cannot(L, "tables within tables, more than 64 deep");
  if (!lua_checkstack(L, LUA_MINSTACK)) refuse(L, "json: expected memory for a table, found none left");
  lua_Integer size = list_size(L);
  check(L, json_open(w, size < 0 ? '{' : '['));
  if (size < 0) write_members(L, w, depth + 1);
  for (lua_Integer i = 1; i <= size; i++) {
    lua_rawgeti(L, -1, i);
    write_value(L, w, depth + 1);
    lua_pop(L, 1);
  }
  check(L, json_close(w, size < 0 ? '}' : ']'));
}

/* The value on top, which stays there; depth: of tables, with it. */
static void write_value(lua_State *L, JsonWriter *w, int depth) {
  char room[JSON_NUMBER_ROOM];
  size_t size;
  const char *text;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE: write_table(L, w, depth); break;
  case LUA_TSTRING:
    text = lua_tolstring(L, -1, &size);
    check(L, json_add_text_bytes(w, text, size));
    break;
  case LUA_TNUMBER:
    number_text(L, lua_tonumber(L, -1), room);
    check(L, json_add_word(w, room));
    break;
  case LUA_TBOOLEAN: check(L, json_add_word(w, lua_toboolean(L, -1) ? "true" : "false")); break;
  case LUA_TNIL: check(L, json_add_word(w, "null")); break;
  default:
    if (!lua_islightuserdata(L, -1) || lua_touserdata(L, -1)) cannot(L, found(L, -1));
    check(L, json_add_word(w, "null"));
  }
}

/* encode(value) → its text, in one line, keys sorted; runs no metamethod */
static int l_encode(lua_State *L) {
  lua_settop(L, 1);
  JsonWriter *w = push_writer(L);
  lua_pushvalue(L, 1);
  write_value(L, w, 1);
  return give_text(L, w);
}

/* members(table, comma, colon) → those of an object, without its brackets, with these between them */
static int l_members(lua_State *L) {
  check_table(L, 1, "json");
  JsonWriter *w = push_writer(L);
  w->comma = check_text(L, 2, "comma");
  w->colon = check_text(L, 3, "colon");
  lua_pushvalue(L, 1);
  write_members(L, w, 1);
  return give_text(L, w);
}

/* list(table) → the table, which is written as a list even when it is empty */
static int l_list(lua_State *L) {
  check_table(L, 1, "list");
  lua_settop(L, 1);
  luaL_setmetatable(L, LIST_META);
  return 1;
}

void open_json(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"decode", l_decode}, {"encode", l_encode}, {"members", l_members}, {"list", l_list}, {NULL, NULL}};
  luaL_newmetatable(L, LIST_META);
  luaL_newmetatable(L, WRITER_META);
  lua_pushcfunction(L, writer_free);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 2);
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_setfield(L, -2, "json");
}
