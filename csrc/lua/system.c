/* core.system: what Lua's own library does not tell about the machine and the process: CPU, memory, time,
 * environment. Signals, the terminal and line editing are in files of their own. Linux only;
 * nothing here computes. */
#include "backend/blas.h"
#include "backend/conv_bf16.h"
#include "backend/isa_peak.h"
#include "core/pool.h"
#include "lua/lib.h"
#include "lua/system.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The value of the line "key : value" of a file under /proc, into text; "" when there is none. */
static void proc_value(const char *path, const char *key, char *text, size_t size) {
  char line[512];
  size_t length = strlen(key);
  FILE *file = fopen(path, "r");
  text[0] = 0;
  if (!file) return;
  while (!text[0] && fgets(line, sizeof line, file))
    if (!strncmp(line, key, length)) {
      const char *value = line + length + strspn(line + length, " \t:");
      snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
    }
  fclose(file);
}

static void set_text(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

/* cpu() → { name, count, isa, complaint, bfloat16 }: the CPUs that are online, the instruction set in use,
 * whether bfloat16 is multiplied faster than float32. */
static int cpu(lua_State *L) {
  char name[256];
  proc_value("/proc/cpuinfo", "model name", name, sizeof name);
  lua_createtable(L, 0, 5);
  set_text(L, "name", name[0] ? name : "unknown");
  set_integer(L, "count", sysconf(_SC_NPROCESSORS_ONLN));
  set_text(L, "isa", isa_name[isa_level()]);
  lua_pushboolean(L, bf16_is_fast());
  lua_setfield(L, -2, "bfloat16");
  if (isa_complaint()) set_text(L, "complaint", isa_complaint());
  return 1;
}

/* peak() → GFLOP/s of one thread with the instruction set in use, measured anew by each call. */
static int peak(lua_State *L) {
  lua_pushnumber(L, 1e-9 * ISA_PICK(peak_flops)());
  return 1;
}

/* blas() → what the loaded OpenBLAS says of itself, or why there is none. */
static int blas_config(lua_State *L) {
  const Blas *library = blas();
  lua_pushstring(L, library ? library->config() : error_message());
  return 1;
}

/* memory() → { total, available, resident, peak }, bytes: the machine's, and this process's. */
static int memory(lua_State *L) {
  static const char *const rows[4][3] = {{"/proc/meminfo", "MemTotal:", "total"},
                                         {"/proc/meminfo", "MemAvailable:", "available"},
                                         {"/proc/self/status", "VmRSS:", "resident"},
                                         {"/proc/self/status", "VmHWM:", "peak"}};
  char value[64];
  lua_createtable(L, 0, 4);
  for (int i = 0; i < 4; i++) {
    proc_value(rows[i][0], rows[i][1], value, sizeof value);
    set_integer(L, rows[i][2], strtoll(value, NULL, 10) * 1024);
  }
  return 1;
}

/* threads() → how many the pool uses; threads(n) sets it first. */
static int threads(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) {
    lua_Integer n = check_whole(L, 1, "threads", 1, INT_MAX);
    if (!pool_resize((int)n)) return raise_error(L);
  }
  lua_pushinteger(L, pool_threads());
  return 1;
}

/* isatty("stdin" | "stdout" | "stderr") */
static int is_terminal(lua_State *L) {
  static const char *const names[] = {"stdin", "stdout", "stderr", NULL};
  lua_pushboolean(L, isatty(luaL_checkoption(L, 1, "stdout", names)));
  return 1;
}

static int clock_seconds(lua_State *L, clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  lua_pushnumber(L, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
  return 1;
}

/* time() → seconds of a clock that never jumps, for durations. */
static int monotonic(lua_State *L) { return clock_seconds(L, CLOCK_MONOTONIC); }

/* now() → seconds since 1970, with fractions. */
static int wall(lua_State *L) { return clock_seconds(L, CLOCK_REALTIME); }

/* sleep(seconds); a signal ends it early. */
static int sleep_for(lua_State *L) {
  double s = check_number(L, 1, "sleep");
  if (!(s >= 0 && s < 1e9)) return refuse(L, "sleep: expected seconds, 0 or more, found %f", s);
  struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
  nanosleep(&t, NULL);
  return 0;
}

static int pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static int hostname(lua_State *L) {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  lua_pushstring(L, name);
  return 1;
}

/* setenv(name, value or nil): for processes started from here on. */
static int set_environment(lua_State *L) {
  const char *name = check_text(L, 1, "setenv"),
             *value = lua_isnoneornil(L, 2) ? NULL : check_text(L, 2, name);
  if (value ? setenv(name, value, 1) : unsetenv(name))
    return refuse(L, "%s: cannot be set: %s", name, strerror(errno));
  return 0;
}

void open_system(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"cpu", cpu},        {"peak", peak},         {"blas", blas_config},
      {"memory", memory},  {"threads", threads},   {"isatty", is_terminal},
      {"time", monotonic}, {"now", wall},          {"sleep", sleep_for},
      {"pid", pid},        {"hostname", hostname}, {"setenv", set_environment},
      {NULL, NULL}};
  luaL_newlib(L, functions);
  open_signals(L);
  open_editor(L);
  open_terminal(L);
  lua_setfield(L, -2, "system");
  open_picture(L);
}
