/* core.io's zip files and checksums: what is in a zip file, one of its entries as a file of its own, SHA-256. */
#include "io/pickle.h"
#include "io/sha256.h"
#include "io/zip.h"
#include "lua/lib.h"

#include <stdio.h>
#include <string.h>

#define ZIP_META "cohesiv.io.Zip"

static int zip_shut(lua_State *L) {
  zip_close(luaL_checkudata(L, 1, ZIP_META));
  return 0;
}

/* The zip file at argument 1, on the stack, so that no error can leak it. */
static Zip *push_zip(lua_State *L) {
  const char *path = check_text(L, 1, "path");
  Zip *z = lua_newuserdatauv(L, sizeof *z, 0);
  *z = (Zip){.source = {.fd = -1}};
  luaL_setmetatable(L, ZIP_META);
  if (!zip_open(z, path)) {
    *z = (Zip){.source = {.fd = -1}};
    raise_error(L);
  }
  return z;
}

static int shut_zip(Zip *z) {
  zip_close(z);
  *z = (Zip){.source = {.fd = -1}};
  return 1;
}

/* zip_list(path) → a list of { name, size } */
static int l_zip_list(lua_State *L) {
  Zip *z = push_zip(L);
  lua_createtable(L, (int)z->count, 0);
  for (long i = 0; i < z->count; i++) {
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, z->entries[i].name, z->entries[i].name_size);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, (lua_Integer)z->entries[i].size);
    lua_setfield(L, -2, "size");
    lua_rawseti(L, -2, i + 1);
  }
  return shut_zip(z);
}

/* Hands an entry's bytes to the checksum, and to the sink where there is one. */
static int pour(const Zip *zip, const ZipEntry *e, Sha256 *sum, Sink *to) {
  char label[600], name[200], piece[1 << 14];
  ZipStream z;
  snprintf(label, sizeof label, "%.300s: %s", zip->source.path,
           pickle_text(name, sizeof name, e->name, e->name_size));
  if (!zip_begin(&z, zip, e, label)) return 0;
  int ok = 1;
  while (ok && z.stream.left > 0) {
    size_t n = z.stream.left < sizeof piece ? z.stream.left : sizeof piece;
    ok = z.stream.take(&z.stream, piece, n);
    if (!ok) break;
    sha256_add(sum, piece, n);
    ok = !to || sink_write(to, piece, n);
  }
  ok = ok && zip_intact(&z);
  zip_finish(&z);
  return ok;
}

/* zip_extract(path, entry, target?) → SHA-256 of the entry, which becomes the file `target`: whole or not at all */
static int l_zip_extract(lua_State *L) {
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  const char *target = lua_isnoneornil(L, 3) ? NULL : check_text(L, 3, "target");
  Zip *z = push_zip(L);
  const ZipEntry *e = NULL;
  for (long i = 0; i < z->count && !e; i++)
    if (z->entries[i].name_size == size && memcmp(z->entries[i].name, name, size) == 0) e = &z->entries[i];
  if (!e) return refuse(L, "%s: expected an entry %s, found none", z->source.path, name);
  char text[SHA256_TEXT];
  Sha256 sum;
  Sink sink;
  sha256_begin(&sum);
  if (target && !sink_open(&sink, target)) return raise_error(L);
  int ok = pour(z, e, &sum, target ? &sink : NULL);
  if (target && ok)
    ok = sink_commit(&sink);
  else if (target)
    sink_abort(&sink);
  shut_zip(z);
  if (!ok) return raise_error(L);
  sha256_end(&sum, text);
  lua_pushstring(L, text);
  return 1;
}

/* copy(path, target): whole or not at all */
static int l_copy(lua_State *L) {
  const char *path = check_text(L, 1, "path"), *target = check_text(L, 2, "target");
  unsigned char piece[1 << 14];
  Source from;
  Sink to;
  if (!source_open(&from, path)) return raise_error(L);
  int ok = sink_open(&to, target);
  if (!ok) {
    source_close(&from);
    return raise_error(L);
  }
  for (size_t at = 0; ok && at < from.size; at += sizeof piece) {
    size_t n = from.size - at < sizeof piece ? from.size - at : sizeof piece;
    ok = source_read(&from, at, piece, n) && sink_write(&to, piece, n);
  }
  source_close(&from);
  if (ok)
    ok = sink_commit(&to);
  else
    sink_abort(&to);
  return ok ? 0 : raise_error(L);
}

/* sha256(path) → of a file's bytes */
static int l_sha256(lua_State *L) {
  char text[SHA256_TEXT];
  if (!sha256_file(check_text(L, 1, "path"), text)) return raise_error(L);
  lua_pushstring(L, text);
  return 1;
}

void open_archive(lua_State *L) {
  static const luaL_Reg functions[] = {{"zip_list", l_zip_list},
                                       {"zip_extract", l_zip_extract},
                                       {"sha256", l_sha256},
                                       {"copy", l_copy},
                                       {NULL, NULL}};
  luaL_newmetatable(L, ZIP_META);
  lua_pushcfunction(L, zip_shut);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
