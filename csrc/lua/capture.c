/* core.capture(f, { inputs }, { outputs of f before }) → f's work, recorded on a device (ops/capture.h), to be called
 * with inputs of the same shapes; nil where the device does not record; nil and why where f reads on the host, say. */
#include "ops/capture.h"

#include "lua/handle.h"

#define CAPTURE_META "cohesiv.Capture"

static int read_list(lua_State *L, int i, Tensor **list) {
  int n = (int)check_list(L, i, "capture", CAPTURE_TENSORS);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    list[k] = check_tensor(L, -1, "capture");
    lua_pop(L, 1);
  }
  return n;
}

/* f(inputs …), its outputs taken and closed; what the collector finds is given back before recording ends. */
static int record_pass(lua_State *L) { /* f, capture */
  Capture *c = lua_touserdata(L, 2);
  int nin = (int)lua_tointeger(L, 3);
  Tensor *outputs[CAPTURE_TENSORS];
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  luaL_checkstack(L, CAPTURE_TENSORS, NULL);
  for (int i = 0; i < nin; i++) {
    Tensor *t = capture_input(c, i);
    give_tensor(L, tensor_view(t, 0, t->rank, t->shape));
  }
  lua_call(L, nin, LUA_MULTRET);
  int nout = lua_gettop(L) - 2;
  if (nout > CAPTURE_TENSORS) return refuse(L, "capture: expected at most %d outputs", CAPTURE_TENSORS);
  for (int i = 0; i < nout; i++) outputs[i] = check_tensor(L, i + 3, "capture: output");
  int ok = capture_take(c, outputs, nout);
  for (int i = 0; i < nout; i++) {
    lua_pushcfunction(L, handle_close);
    lua_pushvalue(L, i + 3);
    lua_call(L, 1, 0);
  }
  return ok ? 0 : raise_error(L);
}

static int capture(lua_State *L) {
  Tensor *inputs[CAPTURE_TENSORS], *like[CAPTURE_TENSORS];
  int nin = read_list(L, 2, inputs), nout = read_list(L, 3, like);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  Capture **c = lua_newuserdatauv(L, sizeof *c, 0);
  *c = NULL;
  luaL_setmetatable(L, CAPTURE_META);
  if (nin && !capture_possible(inputs[0]->device)) return lua_pushnil(L), 1;
  if (!nin || !(*c = capture_begin(inputs, nin, like, nout))) {
    lua_pushnil(L);
    lua_pushstring(L, nin ? error_message() : "capture: expected inputs, found none");
    return 2;
  }
  bool running = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, record_pass);
  lua_pushvalue(L, 1);
  lua_pushlightuserdata(L, *c);
  lua_pushinteger(L, nin);
  bool ok = lua_pcall(L, 3, 0, 0) == LUA_OK;
  if (running) lua_gc(L, LUA_GCRESTART);
  lua_gc(L, LUA_GCCOLLECT);
  if (!capture_end(*c) && ok) {
    lua_pushstring(L, error_message());
    ok = false;
  }
  if (ok) return 1;
  capture_free(*c);
  *c = NULL;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static int drop(lua_State *L) {
  Capture **c = check_object(L, 1, CAPTURE_META, "capture");
  capture_free(*c);
  *c = NULL;
  return 0;
}

static int run(lua_State *L) {
  Capture **c = check_object(L, 1, CAPTURE_META, "capture");
  Tensor *inputs[CAPTURE_TENSORS], *outputs[CAPTURE_TENSORS], **out[CAPTURE_TENSORS];
  int nin = lua_gettop(L) - 1;
  if (!*c) return refuse(L, "capture: expected one that is open, found a closed one");
  int nout = capture_outputs(*c);
  if (nin > CAPTURE_TENSORS) return refuse(L, "capture: expected at most %d inputs", CAPTURE_TENSORS);
  for (int k = 0; k < nin; k++) inputs[k] = check_tensor(L, k + 2, "capture");
  luaL_checkstack(L, CAPTURE_TENSORS + 4, NULL);
  for (int k = 0; k < nout; k++) out[k] = push_tensor(L);
  collect_for_op(L);
  if (!capture_run(*c, inputs, nin, outputs)) return raise_error(L);
  for (int k = 0; k < nout; k++) *out[k] = outputs[k];
  return nout;
}

/* places(list of tensors) → where they lie, as text; none shares its memory with another tensor then. */
static int places(lua_State *L) {
  long n = check_list(L, 1, "places", 1 << 20);
  luaL_Buffer text;
  void **at = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *at, 0);
  for (long i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    if (!(at[i] = tensor_write(check_tensor(L, -1, "places")))) return raise_error(L);
    lua_pop(L, 1);
  }
  luaL_buffinit(L, &text);
  luaL_addlstring(&text, (const char *)at, (size_t)n * sizeof *at);
  luaL_pushresult(&text);
  return 1;
}

void open_capture(lua_State *L) {
  static const luaL_Reg methods[] = {{"__call", run}, {"__gc", drop}, {"__close", drop}, {NULL, NULL}};
  luaL_newmetatable(L, CAPTURE_META);
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 1);
  lua_pushcfunction(L, capture);
  lua_setfield(L, -2, "capture");
  lua_pushcfunction(L, places);
  lua_setfield(L, -2, "places");
}
