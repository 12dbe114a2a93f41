/* Handles: the userdata that Lua holds for a tensor, and the scopes of co.tidy that close them early.
 *
 *   Scope (top) ──> Scope ──> ...        the open scopes, the last one first; each belongs to one coroutine
 *     └─ handle <-> handle <-> ...       what was made inside, not yet returned, kept or closed
 *
 * A coroutine may stop in the middle of a scope and never go on. So nothing is switched when a scope begins
 * or ends: what is in force is asked, each time, of the scopes whose coroutines are not suspended. */
#ifndef LUA_HANDLE_H
#define LUA_HANDLE_H

#include "lua/lib.h"

typedef struct Scope Scope;

typedef struct Handle {
  Tensor *t; /* NULL: empty or closed */
  Scope *scope;
  struct Handle *prev, *next;
} Handle;

#define TENSOR_META "cohesiv.Tensor"

/* The handle at i, or NULL when there is none. */
Handle *to_handle(lua_State *L, int i);

/* __close and t:close(): idempotent; __gc beside it, which also counts. */
int handle_close(lua_State *L);
int handle_gc(lua_State *L);

/* After new tensors exist: a full collection when memory has grown much since the last one. */
void collect_if_grown(lua_State *L);
/* Before a backward pass, which makes no handles and so will not collect, but fills memory further. */
void collect_for_backward(lua_State *L);
/* Before an op runs, its handles made: under COHESIV_GC_STRESS a full collection, so that whatever is not
 * held shows. */
void collect_for_op(lua_State *L);

/* core.tidy(f, ...), core.no_grad(f, ...), core.unbroken(what, f, ...), core.keep(t). The first ones are here
 * rather than in Lua because what they change must change back whatever fails, Lua's own memory included. */
void open_scopes(lua_State *L);

/* Whether the error at i is Lua's refusal of a yield out of a call that cannot be left and entered again. */
bool yield_refused(lua_State *L, int i);

#endif
