/* Ctrl-C (SIGINT), SIGTERM and SIGUSR1 (which batch systems send ahead of a limit), as errors or as a wish. Mode
 * "raise" sets `interrupted`, which ends a parallel loop, and a Lua hook, which raises "interrupted" at the next
 * instruction. Mode "flag" only notes the first signal, for loops that end by themselves (training writes a
 * checkpoint); the second one raises. A program that reacts to neither dies by the fourth.
 *
 * Assumes one Lua state, opened by the thread that runs it. The hook reaches the main coroutine; inside
 * another one it is the core's functions that fail. Signals that arrive on a worker thread are sent on to
 * Lua's thread. */
#include "lua/system.h"

#include "core/error.h"
#include "lua/lib.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { DEFAULT, RAISE, FLAG, LAST_PRESS = 4 };

static lua_State *state;
static pthread_t owner;
static volatile sig_atomic_t mode = DEFAULT;
static volatile sig_atomic_t stop_signal; /* the signal that came, 0: none */
static volatile sig_atomic_t presses;

static void stop_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  lua_pushliteral(L, "interrupted");
  lua_error(L);
}

static void on_stop(int number) {
  if (!pthread_equal(pthread_self(), owner)) {
    pthread_kill(owner, number);
    return;
  }
  int only_flag = mode == FLAG && !stop_signal;
  stop_signal = number;
  if (++presses >= LAST_PRESS) {
    signal(number, SIG_DFL);
    raise(number);
  }
  if (only_flag) return;
  interrupted = 1;
  lua_sethook(state, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

int signal_pending(void) { return stop_signal; }

static void install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_handler = mode == DEFAULT ? SIG_DFL : on_stop;
  /* A wish must not break a write in progress; an interruption shall end a read that waits. */
  if (mode == FLAG) action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
}

static void forget(void) {
  presses = stop_signal = 0;
  interrupted = 0;
  if (state) lua_sethook(state, NULL, 0, 0);
}

/* on_signal(mode): "default", "raise" or "flag" from now on; returns the mode until now. */
static int on_signal(lua_State *L) {
  static const char *const names[] = {"default", "raise", "flag", NULL};
  int before = mode;
  mode = luaL_checkoption(L, 1, NULL, names);
  install();
  lua_pushstring(L, names[before]);
  return 1;
}

/* stopped() → the number of the signal that came since the last resume(), or nil. */
static int stopped(lua_State *L) {
  if (stop_signal)
    lua_pushinteger(L, stop_signal);
  else
    lua_pushnil(L);
  return 1;
}

/* resume(): forgets the signal, so that work can go on. */
static int resume(lua_State *L) {
  (void)L;
  forget();
  return 0;
}

/* end_with(pid): SIGTERM comes when the process of that number, our parent, ends; at once when it has. */
static int end_with(lua_State *L) {
  lua_Integer parent = check_whole(L, 1, "pid", 1, INT_MAX);
  if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() != parent) raise(SIGTERM);
  return 0;
}

static int leave(lua_State *L) {
  (void)L;
  mode = DEFAULT;
  install();
  forget();
  state = NULL;
  return 0;
}

void open_signals(lua_State *L) {
  static const luaL_Reg functions[] = {{"on_signal", on_signal},
                                       {"stopped", stopped},
                                       {"resume", resume},
                                       {"end_with", end_with},
                                       {NULL, NULL}};
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  state = lua_tothread(L, -1);
  lua_pop(L, 1);
  owner = pthread_self();
  luaL_setfuncs(L, functions, 0);
  /* When the state closes no handler may point into it. */
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, leave);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  luaL_ref(L, LUA_REGISTRYINDEX);
}
