/* The program of a bundle: Lua and the way to its modules in one executable, for machines without either. It lies in
 * PREFIX/bin, finds modules in PREFIX alone, and runs PREFIX/share/lua/5.4/cohesiv/main.lua as `lua5.4` would, its own
 * path as arg[0]. */
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* The real path of this program; what the kernel was given will do where there is no /proc. */
static const char *own_path(char *path) {
  if (realpath("/proc/self/exe", path)) return path;
  const char *given = (const char *)getauxval(AT_EXECFN);
  return given && realpath(given, path) ? path : NULL;
}

/* PREFIX of PREFIX/bin/cohesiv, by cutting the path; NULL when it lies elsewhere. */
static const char *prefix_of(char *path) {
  char *name = strrchr(path, '/');
  if (!name || name - path < 4 || strncmp(name - 4, "/bin", 4)) return NULL;
  name[-4] = 0;
  return path;
}

static int traceback(lua_State *L) {
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

static int run(lua_State *L, const char *self, const char *prefix, int argc, char **argv) {
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushfstring(L, "%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua", prefix, prefix);
  lua_setfield(L, -2, "path");
  lua_pushfstring(L, "%s/lib/lua/5.4/?.so", prefix);
  lua_setfield(L, -2, "cpath");
  lua_createtable(L, argc, 0);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, i ? argv[i] : self);
    lua_rawseti(L, -2, i);
  }
  lua_setglobal(L, "arg");
  lua_pushcfunction(L, traceback);
  return luaL_loadfile(L, lua_pushfstring(L, "%s/share/lua/5.4/cohesiv/main.lua", prefix)) ||
         lua_pcall(L, 0, 0, -3);
}

int main(int argc, char **argv) {
  char self[PATH_MAX], path[PATH_MAX];
  const char *prefix = own_path(self) ? prefix_of(strcpy(path, self)) : NULL;
  lua_State *L = luaL_newstate();
  if (!prefix || !L) {
    fprintf(stderr, "cohesiv: %s\n", L ? "expected to lie in a folder named bin" : "out of memory");
    return 1;
  }
  int failed = run(L, self, prefix, argc, argv); /* where all is well, it ends the process itself */
  if (failed) fprintf(stderr, "cohesiv: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed != 0;
}
