/* What the files of csrc/lua share. Each file fills one part of the module table by its open_* function; the
 * order in every binding is: check arguments (may raise, owns nothing), push empty handles, run the core
 * (never raises), raise last. */
#ifndef LUA_LIB_H
#define LUA_LIB_H

#include "core/error.h"
#include "core/tensor.h"

#include <lauxlib.h>
#include <lua.h>

/* Raises the core's message. Use: `if (!work(...)) return raise_error(L);` */
int raise_error(lua_State *L);
/* Raises a message of its own (formats of lua_pushfstring), control characters written out: the way to quote
 * what a user gave. */
int refuse(lua_State *L, const char *format, ...);
/* Pushes what is at i as messages say it ("nil", "1.5", "\"text\"", "a table"), and returns it. Runs no
 * metamethod. */
const char *found(lua_State *L, int i);
/* The same where something of Lua's type `wanted` was expected: of other types, but tensors, their name
 * alone. */
const char *found_for(lua_State *L, int i, int wanted);

/* Checks of arguments: each returns the value at i or raises one line, `what: expected …, found …`. Strings
 * are no numbers here, and check_whole takes no fraction, NaN or infinity. */
lua_Integer check_whole(lua_State *L, int i, const char *what, lua_Integer low, lua_Integer high);
double check_number(lua_State *L, int i, const char *what); /* NaN and infinities too */
double check_finite(lua_State *L, int i, const char *what);
const char *check_text(lua_State *L, int i, const char *what); /* without zero bytes */
void check_table(lua_State *L, int i, const char *what);
long check_list(lua_State *L, int i, const char *what, long most); /* a table → its length */
/* The userdata with metatable `meta` at i, else the message says `what`. */
void *check_object(lua_State *L, int i, const char *meta, const char *what);

/* The tensor at stack index i; raises "expected a tensor, found …" naming argument `what`. Borrowed. */
Tensor *check_tensor(lua_State *L, int i, const char *what);
/* The tensor at i or NULL when it is nil/none or no tensor. Borrowed. */
Tensor *to_tensor(lua_State *L, int i);
/* check_tensor for code that reads the data: a tensor of another device is replaced, at i, by its copy on the
 * CPU. */
Tensor *check_host(lua_State *L, int i, const char *what);
/* check_tensor plus dtype (and rank, unless rank < 0), and that it is on the CPU. */
Tensor *check_tensor_of(lua_State *L, int i, const char *what, Dtype dtype, int rank);
/* The same for what devices compute pixel by pixel (motion/kernels.h): the first of several may be on any of them,
 * which is then *device (NULL before), the others too. What is on a device without such kernels is replaced, at i,
 * by its copy on the CPU. */
Tensor *check_motion(lua_State *L, int i, const char *what, Dtype dtype, int rank, Device **device);

/* Pushes an empty handle and returns its place: fill it with a tensor (the handle then owns that reference).
 * A handle that stays empty is harmless. Use: `Tensor **h = push_tensor(L); if (!(*h = make())) return
 * raise_error(L); return 1;` */
Tensor **push_tensor(lua_State *L);
/* push_tensor for a tensor already made; raises when t is NULL. Takes over the reference. Returns 1. */
int give_tensor(lua_State *L, Tensor *t);

/* Parts of the module: each leaves nothing on the stack and fills the table at the top of it. */
void open_checks(lua_State *L);
void open_tensor(lua_State *L);
void open_ops(lua_State *L);
void open_plan(lua_State *L);
void open_capture(lua_State *L);
void open_algos(lua_State *L);
void open_plans(lua_State *L);
void open_function(lua_State *L);
void open_profile(lua_State *L);
void open_io(lua_State *L);
void open_lock(lua_State *L); /* these into the table of open_io */
void open_child(lua_State *L);
void open_archive(lua_State *L);
void open_tflite(lua_State *L);
void open_pickled(lua_State *L);
void open_json(lua_State *L);
void open_flow(lua_State *L);
void open_geometry(lua_State *L);
void open_crop(lua_State *L);
void open_outline(lua_State *L);
void open_strokes(lua_State *L);
void open_world(lua_State *L);
void open_loader(lua_State *L);
void open_picture(lua_State *L);
void open_metrics(lua_State *L);
void open_system(lua_State *L);

#endif
