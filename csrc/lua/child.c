/* core.io.child: programs that work by themselves beside this one: see io/process.h. The handle kills and reaps
 * its program when it is closed; __gc, __close and :close() are one idempotent function. */
#include "io/process.h"

#include "lua/lib.h"

#include <signal.h>

#define CHILD_META "cohesiv.Child"

enum { WORDS = 4096 };

static int child_close(lua_State *L) {
  process_close(check_object(L, 1, CHILD_META, "child"));
  return 0;
}

/* child(words, log): starts words[1], found on the PATH, with stdin empty; what it prints is appended to the
 * file `log` → a child */
static int child(lua_State *L) {
  long count = check_list(L, 1, "child: words", WORDS);
  const char *log = check_text(L, 2, "child: log");
  if (count < 1) return refuse(L, "child: words: expected a program and its arguments, found an empty list");
  luaL_checkstack(L, (int)count + 4, "child");
  char **argv = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *argv, 0);
  for (long i = 0; i < count; i++) {
    lua_geti(L, 1, i + 1);
    argv[i] = (char *)check_text(L, -1, "child: a word"); /* stays on the stack: it lives as long as needed */
  }
  argv[count] = NULL;
  Process *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (Process){.in = -1, .out = -1, .err = -1};
  luaL_setmetatable(L, CHILD_META);
  return process_start_logged(p, argv, log) ? 1 : raise_error(L);
}

/* c:ended() → its exit status (128 + n when signal n has killed it), nil while it runs */
static int ended(lua_State *L) {
  int status, now = process_ended(check_object(L, 1, CHILD_META, "child"), &status);
  if (now < 0) return raise_error(L);
  if (now) lua_pushinteger(L, status);
  return now;
}

/* c:signal("TERM" | "KILL" | "USR1") */
static int send_signal(lua_State *L) {
  static const char *const names[] = {"TERM", "KILL", "USR1", NULL};
  static const int numbers[] = {SIGTERM, SIGKILL, SIGUSR1};
  const Process *p = check_object(L, 1, CHILD_META, "child");
  process_signal(p, numbers[luaL_checkoption(L, 2, "TERM", names)]);
  return 0;
}

/* c:pid() → its number, 0 when it has ended */
static int child_pid(lua_State *L) {
  const Process *p = check_object(L, 1, CHILD_META, "child");
  lua_pushinteger(L, p->pid);
  return 1;
}

void open_child(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"close", child_close},  {"__close", child_close}, {"__gc", child_close}, {"ended", ended},
      {"signal", send_signal}, {"pid", child_pid},       {NULL, NULL}};
  static const luaL_Reg functions[] = {{"child", child}, {NULL, NULL}};
  luaL_newmetatable(L, CHILD_META);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
