/* core.record: operations whose forward and backward are Lua (co.Function, lua/cohesiv/tensor/function.lua). Forward
 * has run when record is called; here its outputs get a node on the tape.
 *
 *   LuaNode ──> Vars of the arguments that want a gradient
 *      ├──────> saved tensors               owned by the node, not by Lua: released when the node is
 *      └─ ref ─> the Lua function backward   in Lua's registry
 *
 * The function is called on the state that called t:backward, protected: no error passes through the walk. A
 * function that holds an output of its own node makes a cycle which no collector sees. */
#include "core/device.h"
#include "core/graph.h"
#include "core/profile.h"
#include "lua/function.h"
#include "lua/handle.h"
#include "lua/profile.h"

#include <stdlib.h>
#include <string.h>

enum { SAVED_MAX = 64 };

/* What a tensor looked like, without its data. */
typedef struct Form {
  Device *device;
  Dtype dtype;
  int rank;
  long shape[RANK_MAX];
} Form;

typedef struct LuaNode {
  Node node; /* first: the tape frees and walks by it */
  int ref;   /* of the backward function */
  int arguments;
  int place[NODE_IN]; /* which argument input i is, from 1 */
  Form in[NODE_IN], out[NODE_OUT];
  int saved_count;
  Tensor *saved[SAVED_MAX];
  long event; /* of the profile: the call that is under way */
  char name[48];
} LuaNode;

static lua_State *caller, *main_state;

lua_State *function_caller(lua_State *L) {
  lua_State *before = caller;
  caller = L;
  return before;
}

static Form form_of(const Tensor *t) {
  Form f = {t->device, t->dtype, t->rank, {0}};
  memcpy(f.shape, t->shape, sizeof f.shape);
  return f;
}

/* ---- backward ---- */

/* Hands the gradient at stack index i to input k. */
static int take_gradient(lua_State *L, int i, LuaNode *n, int k) {
  const Form *f = &n->in[k];
  Tensor *g = to_tensor(L, i);
  if (!g)
    return fail("%s: backward: gradient %d: expected a tensor or nil, found %s", n->name, n->place[k],
                to_handle(L, i) ? "a closed tensor" : luaL_typename(L, i));
  if (g->dtype != f->dtype || g->rank != f->rank ||
      memcmp(g->shape, f->shape, sizeof(long) * (size_t)f->rank))
    return fail("%s: backward: gradient %d: expected %s %s like the argument, found %s %s", n->name,
                n->place[k], dtype_name[f->dtype], shape_text(f->rank, f->shape), dtype_name[g->dtype],
                tensor_text(g));
  if (g->device != f->device)
    return fail("%s: backward: gradient %d: expected a tensor on %s like the argument, found one on %s",
                n->name, n->place[k], f->device->name, g->device->name);
  return var_grad_add(n->node.in[k], g, f->rank, f->shape);
}

/* Protected; stack: the node → nothing, or an error */
static int call_backward(lua_State *L) {
  LuaNode *n = lua_touserdata(L, 1);
  luaL_checkstack(L, n->arguments + NODE_OUT + 8, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, n->ref);
  lua_createtable(L, n->saved_count, 0);
  for (int i = 0; i < n->saved_count; i++) {
    give_tensor(L, tensor_view(n->saved[i], 0, n->saved[i]->rank, n->saved[i]->shape));
    lua_rawseti(L, -2, i + 1);
  }
  for (int i = 0; i < n->node.nout; i++) {
    const Form *f = &n->out[i];
    const Tensor *g = n->node.out[i] ? n->node.out[i]->grad : NULL;
    if (!dtype_computes(f->dtype, f->device))
      lua_pushnil(L);
    else
      give_tensor(L, g ? tensor_view(g, 0, f->rank, f->shape)
                       : tensor_zeros_on(f->device, f->dtype, f->rank, f->shape));
  }
  if (profiling) n->event = profile_begin(profile_name(L, n->name), EVENT_BACKWARD);
  lua_call(L, n->node.nout + 1, LUA_MULTRET); /* stack: node, gradients... */
  if (lua_gettop(L) - 1 > n->arguments)
    return refuse(L, "%s: backward: expected at most %d gradients, one per argument, found %d", n->name,
                  n->arguments, lua_gettop(L) - 1);
  lua_settop(L, 1 + n->arguments);
  for (int k = 0; k < n->node.nin; k++)
    if (!lua_isnil(L, 1 + n->place[k]) && !take_gradient(L, 1 + n->place[k], n, k)) return raise_error(L);
  return 0;
}

static int node_backward(Node *node) {
  LuaNode *n = (LuaNode *)node;
  lua_State *L = caller;
  if (!L) return fail("%s: backward: expected to be called from Lua", n->name);
  if (!lua_checkstack(L, 4)) return fail("%s: backward: Lua's stack is full", n->name);
  int top = lua_gettop(L);
  bool grad = graph_enable(false); /* no second derivatives */
  n->event = -1;
  lua_pushcfunction(L, call_backward);
  lua_pushlightuserdata(L, n);
  int ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  if (!ok) {
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (yield_refused(L, -1))
      fail("%s: backward: expected a function that runs to its end, found one that yields", n->name);
    else if (text)
      fail("%s", text);
    else
      fail("%s: backward: expected a message as the error, found a %s", n->name, luaL_typename(L, -1));
  }
  profile_end(n->event);
  graph_enable(grad);
  lua_settop(L, top);
  return ok;
}

/* ---- freeing ---- */

static void node_drop(Node *node) {
  LuaNode *n = (LuaNode *)node;
  for (int i = 0; i < n->saved_count; i++) tensor_release(n->saved[i]);
  n->saved_count = 0;
  luaL_unref(main_state, LUA_REGISTRYINDEX, n->ref); /* allocates nothing, so it cannot raise */
  n->ref = LUA_NOREF;
}

static void node_free(Node *node) { free(node); }

/* ---- recording ---- */

/* Entry i of the list at stack index `list`, which must be a tensor. */
static Tensor *entry(lua_State *L, int list, int i, const char *what) {
  lua_rawgeti(L, list, i);
  Tensor *t = check_tensor(L, -1, what); /* the list holds it */
  lua_pop(L, 1);
  return t;
}

/* Fills in what has to be freed again on failure: saved tensors and references to Vars. */
static int fill_node(lua_State *L, LuaNode *n, Tensor **out) {
  for (int i = 0; i < n->node.nout; i++) n->out[i] = form_of(out[i]);
  int saved = (int)lua_rawlen(L, 5);
  for (int i = 1; i <= saved; i++) {
    lua_rawgeti(L, 5, i);
    const Tensor *t = to_tensor(L, -1);
    Tensor *kept = tensor_view(t, 0, t->rank, t->shape);
    lua_pop(L, 1);
    if (!kept) return 0;
    n->saved[n->saved_count++] = kept;
  }
  return 1;
}

/* record(name, backward, arguments, outputs, saved): puts the outputs (tensors without a graph) on the tape.
 * arguments: a table with n entries, of which the tensors that require a gradient become inputs.
 * backward(saved, gradients of the outputs...) returns the gradients of the arguments; nil: none. */
static int record(lua_State *L) {
  const char *name = check_text(L, 1, "record: name");
  if (!lua_isfunction(L, 2)) return refuse(L, "record: backward: expected a function, found %s", found(L, 2));
  for (int i = 3; i <= 5; i++) check_table(L, i, "record");
  lua_settop(L, 5);
  Tensor *in[NODE_IN], *out[NODE_OUT];
  int place[NODE_IN], nin = 0, nout = (int)lua_rawlen(L, 4), saved = (int)lua_rawlen(L, 5);
  lua_getfield(L, 3, "n");
  int arguments = (int)lua_tointeger(L, -1);
  lua_settop(L, 5);
  for (int i = 1; i <= arguments; i++) {
    lua_rawgeti(L, 3, i);
    Tensor *t = to_tensor(L, -1);
    lua_pop(L, 1);
    if (!t || !t->var) continue;
    if (nin == NODE_IN)
      return refuse(L, "%s: expected at most %d tensors that require a gradient, found more", name, NODE_IN);
    in[nin] = t;
    place[nin++] = i;
  }
  if (nout > NODE_OUT) return refuse(L, "%s: expected at most %d outputs, found %d", name, NODE_OUT, nout);
  if (saved > SAVED_MAX)
    return refuse(L, "%s: save: expected at most %d tensors, found %d", name, SAVED_MAX, saved);
  for (int i = 0; i < nout; i++) out[i] = entry(L, 4, i + 1, name);
  for (int i = 1; i <= saved; i++) entry(L, 5, i, name);
  lua_pushvalue(L, 2);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX); /* from here on nothing raises until all is done or undone */
  LuaNode *n = calloc(1, sizeof *n);
  if (!n) {
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    fail("%s: out of memory", name);
    return raise_error(L);
  }
  n->node = (Node){.nin = nin, .nout = nout, .backward = node_backward, .drop = node_drop, .free = node_free};
  n->ref = ref;
  n->arguments = arguments;
  strncpy(n->name, name, sizeof n->name - 1);
  memcpy(n->place, place, sizeof place);
  if (!fill_node(L, n, out)) {
    node_drop(&n->node);
    free(n);
    return raise_error(L);
  }
  for (int k = 0; k < nin; k++) {
    n->in[k] = form_of(in[k]);
    n->node.in[k] = var_retain(in[k]->var);
  }
  return graph_record(&n->node, out) ? 0 : raise_error(L);
}

void open_function(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  main_state = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_pushcfunction(L, record);
  lua_setfield(L, -2, "record");
}
