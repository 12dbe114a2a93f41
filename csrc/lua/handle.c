/* Tensor handles, their scopes, and the safety net under them: Lua's collector does not see tensor memory,
 * and is slow to see dead handles, so a full collection runs when either has grown by more than a step since
 * the last one. */
#include "lua/handle.h"

#include "core/device.h"
#include "core/graph.h"
#include "core/memory.h"
#include "motion/kernels.h"

#include <stdlib.h>
#include <string.h>

struct Scope {
  lua_State
      *owner; /* the coroutine that opened it, which the userdata holds: others' tensors do not land here */
  Scope *below;
  Handle *first;
  enum { TIDY, NO_GRAD, WITH_GRAD } kind;
  bool open;
};

#define SCOPE_META "cohesiv.Scope"

/* The collector is incremental, eager and quick. That is not enough: handles have finalizers and so outlive
 * the cycle that finds them dead, and Lua takes what is left for alive when it decides how long to wait for
 * the next. In a loop of ops each cycle then leaves more than the one before, in generational mode too. So
 * dead handles are counted. */
enum { PAUSE = 150, STEPMUL = 400, HANDLES = 50000 };

/* Dead handles hold memory. Up to what was in use after some collection it may be had anyway; a collection is
 * due when that mark is passed by as much as this, or by a share of it. The pages that the process would
 * touch for the first time otherwise cost more. */
enum { PASSED = 64 << 20, PASSED_SHARE = 16 };

static Scope *top;                       /* one Lua state per process uses scopes at a time */
static size_t live_after_last;           /* bytes in use after the last collection */
static long handles, handles_after_last; /* that are not finalized yet: now, and after the last collection */
static size_t mark;                      /* the most bytes in use after a collection */
static int stress;                       /* COHESIV_GC_STRESS: collect at every op */

/* ---- scopes ---- */

static void unlink_handle(Handle *h) {
  if (!h->scope) return;
  if (h->prev)
    h->prev->next = h->next;
  else
    h->scope->first = h->next;
  if (h->next) h->next->prev = h->prev;
  h->scope = NULL;
  h->prev = h->next = NULL;
}

static void link_handle(Scope *s, Handle *h) {
  h->scope = s;
  h->prev = NULL;
  h->next = s->first;
  if (s->first) s->first->prev = h;
  s->first = h;
}

/* The scope that a tensor made by L lands in. */
static Scope *scope_of(lua_State *L, Scope *from) {
  while (from && (from->kind != TIDY || from->owner != L)) from = from->below;
  return from;
}

/* Whether a no_grad is in force: the last scope of its kind whose coroutine runs, or waits for another that
 * it has resumed. One that has yielded is suspended, and has no say until it goes on. */
static bool recording_paused(void) {
  for (Scope *s = top; s; s = s->below)
    if (s->kind != TIDY && lua_status(s->owner) == LUA_OK) return s->kind == NO_GRAD;
  return false;
}

static void empty_handle(Handle *h) {
  Tensor *t = h->t;
  h->t = NULL;
  unlink_handle(h);
  tensor_release(t);
}

static void leave(Scope *s) {
  if (!s->open) return;
  s->open = false;
  for (Scope **p = &top; *p; p = &(*p)->below)
    if (*p == s) {
      *p = s->below;
      break;
    }
}

/* Puts a new scope below the function at index 1 and its arguments. It ends with its C function, also when
 * the coroutine is closed (__close), or is never heard of again (__gc). */
static Scope *push_scope(lua_State *L, int kind) {
  Scope *s = lua_newuserdatauv(L, sizeof *s, 1);
  *s = (Scope){.owner = L, .kind = kind};
  lua_pushthread(L); /* who has ended may be collected no sooner than its scopes */
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, SCOPE_META);
  lua_insert(L, 1);
  lua_toclose(L, 1);
  s->below = top, s->open = true;
  return top = s;
}

/* Takes the value at i out of the scope if it is a tensor; puts it on the list if it is a table not seen
 * before. `list` is the index of the tables found so far, which are also its keys. */
static void rescue(lua_State *L, int i, Scope *s, int list, lua_Integer *count) {
  Handle *h = to_handle(L, i);
  if (h && h->scope == s) {
    unlink_handle(h);
    Scope *outer = scope_of(L, s->below);
    if (outer) link_handle(outer, h);
  }
  if (lua_type(L, i) != LUA_TTABLE) return;
  i = lua_absindex(L, i);
  lua_pushvalue(L, i);
  bool seen = lua_rawget(L, list) != LUA_TNIL;
  lua_pop(L, 1);
  if (seen) return;
  lua_pushvalue(L, i);
  lua_pushboolean(L, 1);
  lua_rawset(L, list);
  lua_pushvalue(L, i);
  lua_rawseti(L, list, ++*count);
}

/* Moves the tensors among the values first .. last, and in tables as deep as they go, to the scope below. */
static void rescue_all(lua_State *L, int first, int last, Scope *s) {
  lua_Integer count = 0;
  int list = last + 1;
  luaL_checkstack(L, 8, NULL);
  lua_newtable(L);
  for (int i = first; i <= last; i++) rescue(L, i, s, list, &count);
  for (lua_Integer k = 1; k <= count; k++) {
    lua_rawgeti(L, list, k);
    for (lua_pushnil(L); lua_next(L, list + 1);) { /* table key value */
      rescue(L, -1, s, list, &count);
      lua_pop(L, 1);
      rescue(L, -1, s, list, &count);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Ends tidy. Stack: scope, results... */
static int tidy_end(lua_State *L, int status, lua_KContext context) {
  Scope *s = lua_touserdata(L, 1);
  int n = lua_gettop(L);
  (void)status, (void)context;
  if (s->first) rescue_all(L, 2, n, s);
  while (s->first) empty_handle(s->first);
  leave(s);
  return n - 1;
}

static void check_function(lua_State *L, int i, const char *what) {
  if (lua_isfunction(L, i)) return;
  int callable = luaL_getmetafield(L, i, "__call") != LUA_TNIL;
  if (!callable) refuse(L, "%s: expected a function, found %s", what, found(L, i));
  lua_pop(L, 1);
}

/* tidy(f, ...) → what f returns; other tensors made inside are closed. May yield. */
static int tidy(lua_State *L) {
  check_function(L, 1, "tidy");
  push_scope(L, TIDY);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, tidy_end);
  return tidy_end(L, LUA_OK, 0);
}

static int grad_end(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  leave(lua_touserdata(L, 1));
  return lua_gettop(L) - 1;
}

static int with_mode(lua_State *L, int kind, const char *what) {
  check_function(L, 1, what);
  push_scope(L, kind);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, grad_end);
  return grad_end(L, LUA_OK, 0);
}

/* no_grad(f, ...) → what f returns; nothing inside is recorded. May yield: meanwhile others record as they
 * did. */
static int no_grad(lua_State *L) { return with_mode(L, NO_GRAD, "no_grad"); }

/* with_grad(f, ...) → what f returns; inside is recorded, also within a no_grad. */
static int with_grad(lua_State *L) { return with_mode(L, WITH_GRAD, "with_grad"); }

/* unbroken(what, f, ...) → what f returns. f may not yield: for what the whole process sees the middle of. */
static int unbroken(lua_State *L) {
  const char *what = check_text(L, 1, "unbroken");
  check_function(L, 2, what);
  if (lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0) == LUA_OK) return lua_gettop(L) - 1;
  return yield_refused(L, -1)
             ? refuse(L, "%s: expected a function that runs to its end, found one that yields", what)
             : lua_error(L);
}

bool yield_refused(lua_State *L, int i) {
  const char *text = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : "";
  return strstr(text, "attempt to yield across a C-call boundary") != NULL;
}

/* __close(scope, error), __gc(scope): a scope that did not end by itself. After an error the tensors made
 * inside are closed. Those of a coroutine that was closed or abandoned fall to the collector: some may have
 * been handed out. */
static int scope_close(lua_State *L) {
  Scope *s = check_object(L, 1, SCOPE_META, "scope");
  bool failed = !lua_isnoneornil(L, 2);
  leave(s);
  while (s->first) failed ? empty_handle(s->first) : unlink_handle(s->first);
  return 0;
}

static int keep(lua_State *L) {
  Handle *h = to_handle(L, 1);
  if (h) unlink_handle(h);
  lua_settop(L, 1);
  return 1;
}

void open_scopes(lua_State *L) {
  luaL_newmetatable(L, SCOPE_META);
  lua_pushcfunction(L, scope_close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, scope_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  static const luaL_Reg functions[] = {{"tidy", tidy},         {"no_grad", no_grad}, {"with_grad", with_grad},
                                       {"unbroken", unbroken}, {"keep", keep},       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  graph_pause(recording_paused);
  const char *s = getenv("COHESIV_GC_STRESS");
  stress = s && *s && *s != '0';
  lua_gc(L, LUA_GCINC, PAUSE, STEPMUL, 0);
}

/* ---- handles ---- */

Handle *to_handle(lua_State *L, int i) { return luaL_testudata(L, i, TENSOR_META); }

int handle_close(lua_State *L) {
  Handle *h = to_handle(L, 1);
  if (h) empty_handle(h);
  return 0;
}

int handle_gc(lua_State *L) {
  handles--;
  return handle_close(L);
}

static void collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  live_after_last = memory_stats().live;
  handles_after_last = handles;
  if (live_after_last > mark) mark = live_after_last;
}

void collect_if_grown(lua_State *L) {
  MemoryStats m = memory_stats();
  size_t step = m.limit / 8 < (size_t)1 << 30 ? (size_t)1 << 30 : m.limit / 8;
  if (m.live < live_after_last) live_after_last = m.live;
  if (mark > m.live + m.cached) mark = m.live + m.cached; /* the system has the pages back */
  size_t passed = mark / PASSED_SHARE > PASSED ? mark / PASSED_SHARE : PASSED;
  if (m.live >= live_after_last + step || m.live >= mark + passed ||
      handles >= 2 * handles_after_last + HANDLES)
    collect(L);
}

void collect_for_backward(lua_State *L) {
  MemoryStats m = memory_stats();
  if (m.live >= live_after_last + PASSED && m.live > mark) collect(L);
}

void collect_for_op(lua_State *L) {
  if (stress) lua_gc(L, LUA_GCCOLLECT);
}

Tensor **push_tensor(lua_State *L) {
  Handle *h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (Handle){0};
  handles++;
  luaL_setmetatable(L, TENSOR_META);
  Scope *s = scope_of(L, top);
  if (s) link_handle(s, h);
  collect_if_grown(L);
  return &h->t;
}

static int new_handle(lua_State *L) {
  push_tensor(L);
  return 1;
}

int give_tensor(lua_State *L, Tensor *t) {
  if (!t) return raise_error(L);
  lua_pushcfunction(L, new_handle);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) { /* Lua itself has no memory left */
    tensor_release(t);
    return lua_error(L);
  }
  to_handle(L, -1)->t = t;
  return 1;
}

/* ---- arguments ---- */

Tensor *to_tensor(lua_State *L, int i) {
  Handle *h = to_handle(L, i);
  return h ? h->t : NULL;
}

Tensor *check_tensor(lua_State *L, int i, const char *what) {
  Handle *h = to_handle(L, i);
  if (h && h->t) return h->t;
  if (h)
    fail("%s: this tensor was closed (made inside co.tidy, or closed by hand)", what);
  else
    fail("%s: expected a tensor, found %s", what, luaL_typename(L, i));
  raise_error(L);
  return NULL;
}

Tensor *check_host(lua_State *L, int i, const char *what) {
  Tensor *t = check_tensor(L, i, what);
  if (t->device->kind == DEVICE_CPU) return t;
  i = lua_absindex(L, i);
  give_tensor(L, tensor_to(t, device_cpu()));
  lua_replace(L, i);
  return to_tensor(L, i);
}

static Tensor *check_form(lua_State *L, int i, const char *what, Dtype dtype, int rank) {
  Tensor *t = check_tensor(L, i, what);
  if (t->dtype != dtype) {
    fail("%s: expected %s, found %s", what, dtype_name[dtype], dtype_name[t->dtype]);
    raise_error(L);
  }
  if (rank >= 0 && t->rank != rank) {
    fail("%s: expected %d dimensions, found %s", what, rank, tensor_text(t));
    raise_error(L);
  }
  return t;
}

static void check_device_of(lua_State *L, const Tensor *t, const char *what, const Device *device) {
  if (t->device == device) return;
  fail("%s: expected a tensor on %s, found one on %s", what, device->name, t->device->name);
  raise_error(L);
}

Tensor *check_tensor_of(lua_State *L, int i, const char *what, Dtype dtype, int rank) {
  Tensor *t = check_form(L, i, what, dtype, rank);
  check_device_of(L, t, what, device_cpu());
  return t;
}

Tensor *check_motion(lua_State *L, int i, const char *what, Dtype dtype, int rank, Device **device) {
  Tensor *t = check_form(L, i, what, dtype, rank);
  if (motion_device(t->device) != t->device) t = check_host(L, i, what);
  if (*device) check_device_of(L, t, what, *device);
  *device = t->device;
  return t;
}
