/* Allocation that fails on request, as a Lua module for tests. The library under test stays as it is shipped:
 * its import table (what the dynamic linker filled in) is pointed at the functions below, which count its
 * calls, fail the ones that were asked for, and know how many blocks it holds. What other libraries allocate
 * for themselves is neither counted nor failed; Lua's own allocator is wrapped beside it and counted apart.
 * ELF and glibc, 64 bits. */
#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <link.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

#if defined __x86_64__
enum { BY_CALL = R_X86_64_JUMP_SLOT, BY_ADDRESS = R_X86_64_GLOB_DAT };
#elif defined __aarch64__
enum { BY_CALL = R_AARCH64_JUMP_SLOT, BY_ADDRESS = R_AARCH64_GLOB_DAT };
#endif

int luaopen_faults(lua_State *L);

/* ---- what shall fail ---- */

enum { LIBRARY, LUA };
static struct {
  int whose;        /* allocations that count */
  long first, last; /* those that fail, counted from 1; none while last < first */
  atomic_long seen, failed;
} plan = {.first = 1};
static atomic_long blocks; /* what the library holds; what it got before it was watched counts below 0 */

static int fails(int whose) {
  if (whose != plan.whose) return 0;
  long i = atomic_fetch_add(&plan.seen, 1) + 1;
  if (i < plan.first || i > plan.last) return 0;
  atomic_fetch_add(&plan.failed, 1);
  errno = ENOMEM;
  return 1;
}

static void *counted(void *block) {
  if (block) atomic_fetch_add(&blocks, 1);
  return block;
}

/* ---- the functions in place of libc's ---- */

static void *take(size_t n) { return fails(LIBRARY) ? NULL : counted(malloc(n)); }
static void *take_zeros(size_t n, size_t size) { return fails(LIBRARY) ? NULL : counted(calloc(n, size)); }
static void *take_aligned(size_t to, size_t n) {
  return fails(LIBRARY) ? NULL : counted(aligned_alloc(to, n));
}
static char *take_copy(const char *s) { return fails(LIBRARY) ? NULL : counted(strdup(s)); }
static char *take_part(const char *s, size_t n) { return fails(LIBRARY) ? NULL : counted(strndup(s, n)); }
static char *take_path(const char *path, char *to) {
  return to ? realpath(path, to) : fails(LIBRARY) ? NULL : counted(realpath(path, NULL));
}
static int take_text(char **to, const char *format, ...) {
  va_list args;
  if (fails(LIBRARY)) return -1;
  va_start(args, format);
  int n = vasprintf(to, format, args);
  va_end(args);
  if (n >= 0) atomic_fetch_add(&blocks, 1);
  return n;
}
static void *take_more(void *block, size_t n) {
  if (fails(LIBRARY)) return NULL;
  void *grown = realloc(block, n);
  return block ? grown : counted(grown);
}
static void *take_pages(void *at, size_t n, int protection, int flags, int file, off_t from) {
  return fails(LIBRARY) ? MAP_FAILED : mmap(at, n, protection, flags, file, from);
}
static int open_pages(void *at, size_t n, int protection) {
  return protection != PROT_NONE && fails(LIBRARY) ? -1 : mprotect(at, n, protection);
}
static void give(void *block) {
  if (block) atomic_fetch_sub(&blocks, 1);
  free(block);
}

/* What these allocate lies in libc, so they fail as a whole; what they return is no block of the library. */
static FILE *take_file(const char *path, const char *mode) {
  return fails(LIBRARY) ? NULL : fopen(path, mode);
}
static DIR *take_folder(const char *path) { return fails(LIBRARY) ? NULL : opendir(path); }
static int take_thread(pthread_t *thread, const pthread_attr_t *with, void *(*f)(void *), void *arg) {
  return fails(LIBRARY) ? EAGAIN : pthread_create(thread, with, f, arg);
}
static int take_open(posix_spawn_file_actions_t *list, int to, const char *path, int flags, mode_t mode) {
  return fails(LIBRARY) ? ENOMEM : posix_spawn_file_actions_addopen(list, to, path, flags, mode);
}
static int take_dup(posix_spawn_file_actions_t *list, int from, int to) {
  return fails(LIBRARY) ? ENOMEM : posix_spawn_file_actions_adddup2(list, from, to);
}
static int take_process(pid_t *pid, const char *name, const posix_spawn_file_actions_t *list,
                        const posix_spawnattr_t *with, char *const argv[], char *const env[]) {
  return fails(LIBRARY) ? ENOMEM : posix_spawnp(pid, name, list, with, argv, env);
}

static const struct {
  const char *name;
  void *function;
} stand_ins[] = {{"malloc", take},
                 {"calloc", take_zeros},
                 {"aligned_alloc", take_aligned},
                 {"strdup", take_copy},
                 {"strndup", take_part},
                 {"realpath", take_path},
                 {"asprintf", take_text},
                 {"realloc", take_more},
                 {"mmap", take_pages},
                 {"mprotect", open_pages},
                 {"free", give},
                 {"fopen", take_file},
                 {"opendir", take_folder},
                 {"pthread_create", take_thread},
                 {"posix_spawn_file_actions_addopen", take_open},
                 {"posix_spawn_file_actions_adddup2", take_dup},
                 {"posix_spawnp", take_process}};

/* ---- the import table ---- */

typedef struct Search {
  const char *path; /* what the library's path holds */
  int replaced;
} Search;

static void replace(const struct dl_phdr_info *library, const ElfW(Rela) * rows, size_t bytes,
                    const ElfW(Sym) * symbols, const char *names, Search *s) {
  for (size_t i = 0; rows && i < bytes / sizeof *rows; i++) {
    unsigned long type = ELF64_R_TYPE(rows[i].r_info);
    if (type != BY_CALL && type != BY_ADDRESS) continue;
    const char *name = names + symbols[ELF64_R_SYM(rows[i].r_info)].st_name;
    for (size_t k = 0; k < sizeof stand_ins / sizeof *stand_ins; k++) {
      if (strcmp(name, stand_ins[k].name)) continue;
      void **slot = (void **)(library->dlpi_addr + rows[i].r_offset);
      size_t page = (size_t)sysconf(_SC_PAGESIZE);
      void *start = (void *)((uintptr_t)slot / page * page);
      if (mprotect(start, page, PROT_READ | PROT_WRITE)) continue; /* it may have been made read-only */
      *slot = stand_ins[k].function;
      s->replaced++;
    }
  }
}

static int visit(struct dl_phdr_info *library, size_t size, void *search) {
  Search *s = search;
  const ElfW(Dyn) *d = NULL;
  (void)size;
  if (!strstr(library->dlpi_name, s->path)) return 0;
  for (int i = 0; i < library->dlpi_phnum; i++)
    if (library->dlpi_phdr[i].p_type == PT_DYNAMIC)
      d = (const ElfW(Dyn) *)(library->dlpi_addr + library->dlpi_phdr[i].p_vaddr);
  const ElfW(Rela) *calls = NULL, *addresses = NULL;
  const ElfW(Sym) *symbols = NULL;
  const char *names = NULL;
  size_t calls_bytes = 0, addresses_bytes = 0;
  for (; d && d->d_tag != DT_NULL; d++) {
    switch (d->d_tag) {
    case DT_JMPREL: calls = (const void *)d->d_un.d_ptr; break;
    case DT_PLTRELSZ: calls_bytes = d->d_un.d_val; break;
    case DT_RELA: addresses = (const void *)d->d_un.d_ptr; break;
    case DT_RELASZ: addresses_bytes = d->d_un.d_val; break;
    case DT_SYMTAB: symbols = (const void *)d->d_un.d_ptr; break;
    case DT_STRTAB: names = (const void *)d->d_un.d_ptr; break;
    }
  }
  if (!symbols || !names) return 0;
  replace(library, calls, calls_bytes, symbols, names, s);
  replace(library, addresses, addresses_bytes, symbols, names, s);
  return 1;
}

/* ---- Lua's allocator ---- */

static lua_Alloc lua_alloc;
static void *lua_alloc_data;

/* Lua relies on blocks that shrink: those requests never fail. */
static void *lua_take(void *unused, void *block, size_t before, size_t n) {
  (void)unused;
  if (n > (block ? before : 0) && fails(LUA)) return NULL;
  return lua_alloc(lua_alloc_data, block, before, n);
}

/* ---- for Lua ---- */

/* watch(part of a library's path) → how many of its imports were replaced */
static int watch(lua_State *L) {
  Search s = {luaL_checkstring(L, 1), 0};
  dl_iterate_phdr(visit, &s);
  if (!lua_alloc) {
    lua_alloc = lua_getallocf(L, &lua_alloc_data);
    lua_setallocf(L, lua_take, NULL);
  }
  lua_pushinteger(L, s.replaced);
  return 1;
}

/* Under AddressSanitizer: whether blocks of these moments count as leaks; calls nest. Other modules lose some
 * (libedit and ncurses in every session); what the core holds is counted here. */
static void look_for_leaks(int on) {
  void (*look)(void) = NULL;
  *(void **)&look = dlsym(RTLD_DEFAULT, on ? "__lsan_enable" : "__lsan_disable");
  if (look) look();
}

/* arm("library" | "lua", k, n): the k-th allocation from here fails, and so do the n - 1 after it */
static int arm(lua_State *L) {
  static const char *const names[] = {"library", "lua", NULL};
  int whose = luaL_checkoption(L, 1, NULL, names);
  long first = (long)luaL_checkinteger(L, 2), n = (long)luaL_checkinteger(L, 3);
  atomic_store(&plan.seen, 0);
  atomic_store(&plan.failed, 0);
  plan.whose = whose;
  plan.last = first + n - 1;
  plan.first = first;
  return 0;
}

/* disarm() → how many allocations there were, how many of them failed */
static int disarm(lua_State *L) {
  plan.first = 1;
  plan.last = 0;
  lua_pushinteger(L, atomic_load(&plan.seen));
  lua_pushinteger(L, atomic_load(&plan.failed));
  return 2;
}

/* blocks() → how many the library holds more than when it was watched first */
static int count_blocks(lua_State *L) {
  lua_pushinteger(L, atomic_load(&blocks));
  return 1;
}

/* ---- a terminal ---- */

static int keyboard = -1; /* the other side of the terminal */

static int leave(lua_State *L) {
  fflush(stdout);
  look_for_leaks(1);
  for (int fd = 0; fd < 2; fd++) dup2((int)lua_tointeger(L, lua_upvalueindex(fd + 1)), fd);
  return 0;
}

/* terminal() → a function that undoes it: stdin and stdout are a pseudo-terminal, what is shown there is
 * dropped */
static int terminal(lua_State *L) {
  keyboard = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (keyboard < 0 || grantpt(keyboard) || unlockpt(keyboard)) return luaL_error(L, "faults: no terminal");
  int screen = open(ptsname(keyboard), O_RDWR | O_NOCTTY);
  struct termios mode;
  if (screen < 0 || tcgetattr(screen, &mode)) return luaL_error(L, "faults: no terminal");
  mode.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
  tcsetattr(screen, TCSANOW, &mode);
  look_for_leaks(0);
  fflush(stdout);
  for (int fd = 0; fd < 2; fd++) {
    lua_pushinteger(L, dup(fd));
    dup2(screen, fd);
  }
  lua_pushcclosure(L, leave, 2);
  return 1;
}

/* type(keys): what is pressed on the terminal, in place of what was not read yet */
static int type(lua_State *L) {
  size_t n;
  char shown[4096];
  const char *keys = luaL_checklstring(L, 1, &n);
  tcflush(0, TCIFLUSH);
  while (read(keyboard, shown, sizeof shown) > 0) continue;
  if (write(keyboard, keys, n) != (ssize_t)n) return luaL_error(L, "faults: cannot type");
  return 0;
}

int luaopen_faults(lua_State *L) {
  prctl(PR_SET_THP_DISABLE, 1, 0, 0,
        0); /* blocks come and go: filling a huge page each time is most of the time */
  static const luaL_Reg functions[] = {
      {"watch", watch},       {"arm", arm},   {"disarm", disarm}, {"blocks", count_blocks},
      {"terminal", terminal}, {"type", type}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
