/* Allocation that fails on request, as a Lua module for tests. The library under test stays as it is shipped:
 * its import table (what the dynamic linker filled in) is pointed at the functions below, which count its
 * calls, fail the ones that were asked for, and know how many blocks it holds. What other libraries allocate
 * for themselves is neither counted nor failed; Lua's own allocator is wrapped beside it and counted apart.
 * ELF and glibc, 64 bits. */
#include <elf.h>
#include <errno.h>
#include <lauxlib.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static const struct {
  const char *name;
  void *function;
} stand_ins[] = {{"malloc", take},         {"calloc", take_zeros}, {"aligned_alloc", take_aligned},
                 {"strdup", take_copy},    {"strndup", take_part}, {"realpath", take_path},
                 {"asprintf", take_text},  {"realloc", take_more}, {"mmap", take_pages},
                 {"mprotect", open_pages}, {"free", give}};

/* ---- the import table ---- */

typedef struct Search {
  const char *path; /* what the library's path ends with */
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
  size_t n = strlen(library->dlpi_name), wanted = strlen(s->path);
  const ElfW(Dyn) *d = NULL;
  (void)size;
  if (n < wanted || strcmp(library->dlpi_name + n - wanted, s->path)) return 0;
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

/* watch(end of a library's path) → how many of its imports were replaced */
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

int luaopen_faults(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"watch", watch}, {"arm", arm}, {"disarm", disarm}, {"blocks", count_blocks}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
