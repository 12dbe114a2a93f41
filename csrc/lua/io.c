/* core.io: files, pictures, arrays and folders, as thin as they come; lua/cohesiv/{io,image,data,cache}.lua
 * make the public names. Paths are Lua strings without zero bytes. Videos are in video.c. */
#include "io/array.h"
#include "io/digest.h"
#include "io/file.h"
#include "io/folder.h"
#include "io/image.h"
#include "io/kind.h"
#include "lua/lib.h"
#include "lua/video.h"

#include <stdlib.h>
#include <string.h>

/* ---- arguments ---- */

static const char *check_path(lua_State *L) { return check_text(L, 1, "path"); }

static long check_integer(lua_State *L, int i, const char *what) {
  return (long)check_whole(L, i, what, LUA_MININTEGER, LUA_MAXINTEGER);
}

static long integer_or(lua_State *L, int i, const char *what, long otherwise) {
  return lua_isnoneornil(L, i) ? otherwise : check_integer(L, i, what);
}

/* ---- what C hands out and Lua must free: in a userdata, so that no error can leak it ---- */

#define BOX_META "cohesiv.io.Box"
typedef struct Box {
  Bundle bundle;
  Bytes bytes;
  Listing listing;
} Box;

static int box_free(lua_State *L) {
  Box *b = luaL_checkudata(L, 1, BOX_META);
  bundle_free(&b->bundle);
  bytes_free(&b->bytes);
  listing_free(&b->listing);
  return 0;
}

static Box *push_box(lua_State *L) {
  Box *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (Box){0};
  luaL_setmetatable(L, BOX_META);
  return b;
}

/* → the box's bytes as a string */
static int give_bytes(lua_State *L, Box *b) {
  lua_pushlstring(L, (const char *)b->bytes.data, b->bytes.size);
  bytes_free(&b->bytes);
  return 1;
}

/* → the tensors by name; they move out of the bundle. */
static void push_tensors(lua_State *L, Bundle *b) {
  lua_createtable(L, 0, (int)b->count);
  for (long i = 0; i < b->count; i++) {
    *push_tensor(L) = b->items[i].tensor;
    b->items[i].tensor = NULL;
    lua_setfield(L, -2, b->items[i].name);
  }
}

/* Copies a table of tensors by name into the bundle. Values are borrowed through a reference of their own. */
static void check_tensors(lua_State *L, int i, Bundle *b) {
  if (!lua_istable(L, i)) {
    fail("tensors: expected a table of tensors by name, found %s", luaL_typename(L, i));
    raise_error(L);
  }
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *name = check_text(L, -2, "name of a tensor");
    Tensor *t = check_host(L, -1, name);
    if (!bundle_add(b, name, strlen(name), tensor_retain(t))) raise_error(L);
  }
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const Named *)a)->name, ((const Named *)b)->name);
}

/* ---- pictures ---- */

static int l_png_read(lua_State *L) {
  const char *path = check_path(L), *as = lua_isnoneornil(L, 2) ? "rgb8" : check_text(L, 2, "as");
  static const char *const names[] = {
      [PNG_RGB8] = "rgb8", [PNG_RGB16] = "rgb16", [PNG_MASK] = "mask", [PNG_LABELS] = "labels"};
  for (int kind = 0; kind <= PNG_LABELS; kind++)
    if (names[kind] && strcmp(as, names[kind]) == 0) return give_tensor(L, png_read(path, (PngAs)kind));
  fail("as: expected rgb8, rgb16, mask or labels, found %s", as);
  return raise_error(L);
}

static int l_png_write(lua_State *L) {
  const char *path = check_path(L);
  Tensor *image = check_host(L, 2, "image");
  long depth = integer_or(L, 3, "depth", 8);
  return png_write(path, image, (int)depth) ? 0 : raise_error(L);
}

/* png_bytes(image, depth = 8, fast = false): fast ones are a little larger. */
static int l_png_bytes(lua_State *L) {
  Tensor *image = check_host(L, 1, "image");
  long depth = integer_or(L, 2, "depth", 8);
  int fast = lua_toboolean(L, 3);
  Box *b = push_box(L);
  if (!(fast ? png_encode_fast : png_encode)(image, (int)depth, &b->bytes)) return raise_error(L);
  return give_bytes(L, b);
}

/* base64(bytes): as text (RFC 4648). */
static int l_base64(lua_State *L) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t size;
  const unsigned char *p = (const unsigned char *)luaL_checklstring(L, 1, &size);
  luaL_Buffer out;
  char *to = luaL_buffinitsize(L, &out, (size + 2) / 3 * 4);
  for (size_t i = 0; i < size; i += 3) {
    unsigned word = (unsigned)p[i] << 16;
    if (i + 1 < size) word |= (unsigned)p[i + 1] << 8;
    if (i + 2 < size) word |= p[i + 2];
    for (int k = 0; k < 4; k++) *to++ = i + (size_t)k <= size ? digits[word >> (18 - 6 * k) & 63] : '=';
  }
  luaL_pushresultsize(&out, (size + 2) / 3 * 4);
  return 1;
}

static int l_jpeg_read(lua_State *L) { return give_tensor(L, jpeg_read(check_path(L))); }

static int check_quality(lua_State *L, int i) {
  return lua_isnoneornil(L, i) ? 90 : (int)check_whole(L, i, "quality", 1, 100);
}

/* jpeg_write(path, image, quality = 90) */
static int l_jpeg_write(lua_State *L) {
  const char *path = check_path(L);
  Tensor *image = check_host(L, 2, "image");
  return jpeg_write(path, image, check_quality(L, 3)) ? 0 : raise_error(L);
}

/* jpeg_bytes(image, quality = 90) */
static int l_jpeg_bytes(lua_State *L) {
  Tensor *image = check_host(L, 1, "image");
  int quality = check_quality(L, 2);
  Box *b = push_box(L);
  if (!jpeg_encode(image, quality, &b->bytes)) return raise_error(L);
  return give_bytes(L, b);
}

/* resample(image, sx, sy, content_w, content_h, full_w, full_h, gain = 1) */
static int l_resample(lua_State *L) {
  Tensor *image = check_host(L, 1, "image");
  Grid g = {.sx = check_number(L, 2, "sx"),
            .sy = check_number(L, 3, "sy"),
            .content_w = check_integer(L, 4, "content_w"),
            .content_h = check_integer(L, 5, "content_h"),
            .full_w = check_integer(L, 6, "full_w"),
            .full_h = check_integer(L, 7, "full_h"),
            .gain = lua_isnoneornil(L, 8) ? 1 : check_number(L, 8, "gain")};
  return give_tensor(L, image_resample(image, &g));
}

/* ---- arrays ---- */

static int l_flo_read(lua_State *L) { return give_tensor(L, flo_read(check_path(L))); }

static int l_flo_write(lua_State *L) {
  const char *path = check_path(L);
  return flo_write(path, check_host(L, 2, "flow")) ? 0 : raise_error(L);
}

static int l_flow_png_read(lua_State *L) {
  const char *path = check_path(L);
  Tensor **flow = push_tensor(L), **valid = push_tensor(L);
  if (!(*flow = flow_png_read(path, valid))) return raise_error(L);
  return 2;
}

static int l_npy_read(lua_State *L) { return give_tensor(L, npy_read(check_path(L))); }

static int l_npy_write(lua_State *L) {
  const char *path = check_path(L);
  return npy_write(path, check_host(L, 2, "array")) ? 0 : raise_error(L);
}

static int l_npz_read(lua_State *L) {
  const char *path = check_path(L);
  Box *b = push_box(L);
  if (!npz_read(path, &b->bundle)) return raise_error(L);
  push_tensors(L, &b->bundle);
  return 1;
}

/* npz_write(path, tensors, level = 6): entries sorted by name */
static int l_npz_write(lua_State *L) {
  const char *path = check_path(L);
  long level = integer_or(L, 3, "level", 6);
  Box *b = push_box(L);
  check_tensors(L, 2, &b->bundle);
  if (b->bundle.count) qsort(b->bundle.items, (size_t)b->bundle.count, sizeof(Named), by_name);
  if (!npz_write(path, &b->bundle, (int)level)) return raise_error(L);
  bundle_free(&b->bundle);
  return 0;
}

/* safetensors_read(path) → tensors by name, metadata */
static int l_safetensors_read(lua_State *L) {
  const char *path = check_path(L);
  Box *b = push_box(L);
  if (!safetensors_read(path, &b->bundle)) return raise_error(L);
  push_tensors(L, &b->bundle);
  lua_createtable(L, 0, (int)b->bundle.notes_count);
  for (long i = 0; i < b->bundle.notes_count; i++) {
    lua_pushstring(L, b->bundle.notes[i].value);
    lua_setfield(L, -2, b->bundle.notes[i].key);
  }
  return 2;
}

static int l_pth_read(lua_State *L) {
  const char *path = check_path(L);
  Box *b = push_box(L);
  if (!pth_read(path, &b->bundle)) return raise_error(L);
  push_tensors(L, &b->bundle);
  return 1;
}

/* safetensors_write(path, tensors, metadata?) */
static int l_safetensors_write(lua_State *L) {
  const char *path = check_path(L);
  Box *b = push_box(L);
  check_tensors(L, 2, &b->bundle);
  if (lua_istable(L, 3))
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
      const char *key = check_text(L, -2, "key of the metadata"), *value = check_text(L, -1, key);
      if (!bundle_note(&b->bundle, key, value)) return raise_error(L);
    }
  if (!safetensors_write(path, &b->bundle)) return raise_error(L);
  bundle_free(&b->bundle);
  return 0;
}

static int l_pack_read(lua_State *L) {
  const char *path = check_path(L);
  return give_tensor(L, pack_read(path, check_text(L, 2, "key")));
}

/* pack_write(path, key, tensor, flow64 = false, folder?): folder is where the file lies until it is whole */
static int l_pack_write(lua_State *L) {
  const char *path = check_path(L), *key = check_text(L, 2, "key");
  const char *folder = lua_isnoneornil(L, 5) ? NULL : check_text(L, 5, "folder");
  return pack_write(path, key, check_host(L, 3, "tensor"), lua_toboolean(L, 4), folder) ? 0 : raise_error(L);
}

/* ---- files and folders ---- */

/* read_file(path, limit = 1 GiB) → its bytes */
static int l_read_file(lua_State *L) {
  const char *path = check_path(L);
  long limit = integer_or(L, 2, "limit", 1L << 30);
  Box *b = push_box(L);
  if (!file_read(path, (size_t)limit, &b->bytes)) return raise_error(L);
  return give_bytes(L, b);
}

static int l_write_file(lua_State *L) {
  const char *path = check_path(L);
  size_t size;
  if (lua_type(L, 2) != LUA_TSTRING) return refuse(L, "%s: expected bytes, found %s", path, found(L, 2));
  const char *bytes = lua_tolstring(L, 2, &size);
  return file_write(path, bytes, size) ? 0 : raise_error(L);
}

static int l_list(lua_State *L) {
  const char *path = check_path(L);
  Box *b = push_box(L);
  if (!folder_list(path, &b->listing)) return raise_error(L);
  lua_createtable(L, (int)b->listing.count, 0);
  for (long i = 0; i < b->listing.count; i++) {
    lua_pushstring(L, b->listing.names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  listing_free(&b->listing);
  return 1;
}

static int l_make_folder(lua_State *L) { return folder_make(check_path(L)) ? 0 : raise_error(L); }

/* status(path) → "file", "folder" or "other", size, nanoseconds since 1970; nil when nothing is there */
static int l_status(lua_State *L) {
  Status s = path_status(check_path(L));
  if (!s.kind) return 0;
  lua_pushstring(L, s.kind == 'f' ? "file" : s.kind == 'd' ? "folder" : "other");
  lua_pushinteger(L, s.size);
  lua_pushinteger(L, s.modified);
  return 3;
}

/* kind(path) → what the file is by its first bytes ("an HTML page"), nil where nothing tells */
static int l_kind(lua_State *L) {
  char room[KIND_TEXT];
  Source s;
  if (!source_open(&s, check_path(L))) return raise_error(L);
  const char *phrase = kind_of_source(room, &s);
  source_close(&s);
  lua_pushstring(L, phrase); /* nil for NULL */
  return 1;
}

static int l_digest(lua_State *L) {
  size_t size;
  if (lua_type(L, 1) != LUA_TSTRING) return refuse(L, "digest: expected a string, found %s", found(L, 1));
  const char *text = lua_tolstring(L, 1, &size);
  char out[33];
  digest(text, size, out);
  lua_pushstring(L, out);
  return 1;
}

void open_io(lua_State *L) {
  static const luaL_Reg functions[] = {{"png_read", l_png_read},
                                       {"png_write", l_png_write},
                                       {"png_bytes", l_png_bytes},
                                       {"base64", l_base64},
                                       {"jpeg_read", l_jpeg_read},
                                       {"jpeg_write", l_jpeg_write},
                                       {"jpeg_bytes", l_jpeg_bytes},
                                       {"resample", l_resample},
                                       {"flo_read", l_flo_read},
                                       {"flo_write", l_flo_write},
                                       {"flow_png_read", l_flow_png_read},
                                       {"npy_read", l_npy_read},
                                       {"npy_write", l_npy_write},
                                       {"npz_read", l_npz_read},
                                       {"npz_write", l_npz_write},
                                       {"safetensors_read", l_safetensors_read},
                                       {"safetensors_write", l_safetensors_write},
                                       {"pth_read", l_pth_read},
                                       {"pack_read", l_pack_read},
                                       {"pack_write", l_pack_write},
                                       {"read_file", l_read_file},
                                       {"write_file", l_write_file},
                                       {"list", l_list},
                                       {"make_folder", l_make_folder},
                                       {"status", l_status},
                                       {"kind", l_kind},
                                       {"digest", l_digest},
                                       {NULL, NULL}};
  luaL_newmetatable(L, BOX_META);
  lua_pushcfunction(L, box_free);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  open_video(L);
  open_video_writer(L);
  open_lock(L);
  open_child(L);
  open_archive(L);
  open_tflite(L);
  open_pickled(L);
  lua_setfield(L, -2, "io");
}
