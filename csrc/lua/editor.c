/* A line editor for the REPL over libedit: history in a file, completion by a Lua function, Ctrl-C that ends
 * the line. Assumes that stdin and stdout are a terminal; who reads a pipe does not come here. One line at a
 * time: what makes a statement complete is the REPL's question. */
#include "lua/lib.h"
#include "lua/system.h"

#include <errno.h>
#include <histedit.h>
#include <lauxlib.h>
#include <locale.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define EDITOR "cohesiv.editor"
enum { HISTORY_LINES = 2000 };

typedef struct Editor {
  EditLine *edit;
  History *history;
  HistEvent event;
  lua_State *L; /* set while a line is read: completion calls into it */
  char *file;   /* where history is kept; NULL: nowhere */
  const char *prompt;
  mbstate_t shift;
} Editor;

static Editor *editor_of(EditLine *edit) {
  void *editor = NULL;
  el_get(edit, EL_CLIENTDATA, &editor);
  return editor;
}

static char *prompt_of(EditLine *edit) { return (char *)editor_of(edit)->prompt; }

/* One character from the terminal: 1, 0 at its end, -1 on Ctrl-C.
 * libedit's own reader would try again there. */
static int read_char(EditLine *edit, wchar_t *out) {
  Editor *e = editor_of(edit);
  for (;;) {
    struct pollfd wait = {STDIN_FILENO, POLLIN, 0};
    char byte;
    if (signal_pending()) {
      errno = EINTR;
      return -1;
    }
    if (poll(&wait, 1, -1) < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return (int)got;
    size_t n = mbrtowc(out, &byte, 1, &e->shift);
    if (n == (size_t)-2) continue; /* the character has more bytes */
    if (n == (size_t)-1) {
      memset(&e->shift, 0, sizeof e->shift);
      continue;
    }
    return 1;
  }
}

/* complete, LineInfo → what complete(text before the cursor) gives */
static int call_complete(lua_State *L) {
  const LineInfo *line = lua_touserdata(L, 2);
  lua_settop(L, 1);
  lua_pushlstring(L, line->buffer, (size_t)(line->cursor - line->buffer));
  lua_call(L, 1, 2);
  return 2;
}

/* Tab: complete(text before the cursor) → text to insert, list of candidates. A failing function completes
 * nothing. Nothing may be raised here: libedit would be left in the middle of a line. */
static unsigned char complete(EditLine *edit, int key) {
  Editor *e = editor_of(edit);
  lua_State *L = e->L;
  unsigned char result = CC_ERROR;
  int top = lua_gettop(L);
  (void)key;
  lua_pushcfunction(L, call_complete);
  if (lua_getiuservalue(L, 1, 1) == LUA_TFUNCTION) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)el_line(edit));
    if (lua_pcall(L, 2, 2, 0) == LUA_OK) {
      const char *insert = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
      if (*insert)
        result = el_insertstr(edit, insert) == 0 ? CC_REFRESH : CC_ERROR;
      else if (lua_istable(L, -1) && lua_rawlen(L, -1) > 1) {
        fputc('\n', stdout);
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
          printf("%s  ", lua_tostring(L, -1));
          lua_pop(L, 1);
        }
        fputc('\n', stdout);
        result = CC_REDISPLAY;
      }
    }
  }
  lua_settop(L, top);
  return result;
}

static int close_editor(lua_State *L) {
  Editor *e = check_object(L, 1, EDITOR, "editor");
  if (e->edit) el_end(e->edit);
  if (e->history) history_end(e->history);
  free(e->file);
  memset(e, 0, sizeof *e);
  return 0;
}

static Editor *check_editor(lua_State *L) {
  Editor *e = check_object(L, 1, EDITOR, "editor");
  if (!e->edit) refuse(L, "editor: is closed");
  return e;
}

/* editor(history_file or nil, complete or nil) → an editor. */
static int new_editor(lua_State *L) {
  const char *file = lua_isnoneornil(L, 1) ? NULL : check_text(L, 1, "editor: history");
  Editor *e = lua_newuserdatauv(L, sizeof *e, 1);
  memset(e, 0, sizeof *e);
  luaL_setmetatable(L, EDITOR);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
  e->edit = el_init("cohesiv", stdin, stdout, stderr);
  e->history = history_init();
  e->file = file ? strdup(file) : NULL;
  if (!e->edit || !e->history || (file && !e->file))
    return refuse(L, "editor: expected memory for line editing, found none left");
  history(e->history, &e->event, H_SETSIZE, HISTORY_LINES);
  history(e->history, &e->event, H_SETUNIQUE, 1);
  if (file) history(e->history, &e->event, H_LOAD, file);
  el_set(e->edit, EL_CLIENTDATA, e);
  el_set(e->edit, EL_PROMPT, prompt_of);
  el_set(e->edit, EL_SIGNAL, 0);
  el_set(e->edit, EL_EDITOR, "emacs");
  el_set(e->edit, EL_HIST, history, e->history);
  el_set(e->edit, EL_GETCFN, read_char);
  el_set(e->edit, EL_ADDFN, "lua-complete", "complete the name before the cursor", complete);
  el_set(e->edit, EL_BIND, "^I", "lua-complete", NULL);
  el_set(e->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
  el_set(e->edit, EL_BIND, "\\e[3~", "ed-delete-next-char", NULL);
  return 1;
}

/* editor:line(prompt) → the line without its newline; nil at the end of input; false when Ctrl-C ended it. */
static int read_line(lua_State *L) {
  Editor *e = check_editor(L);
  int count = 0;
  e->prompt = check_text(L, 2, "editor: prompt");
  e->L = L;
  memset(&e->shift, 0, sizeof e->shift);
  el_resize(e->edit);
  const char *line = el_gets(e->edit, &count);
  if (signal_pending()) {
    fputc('\n', stdout);
    el_reset(e->edit);
    lua_pushboolean(L, 0);
  } else if (!line || count <= 0) {
    lua_pushnil(L);
  } else {
    lua_pushlstring(L, line, (size_t)count - (line[count - 1] == '\n'));
  }
  return 1;
}

/* editor:remember(line): adds to the history and writes its file, whole or not at all;
 * true when that worked. */
static int remember(lua_State *L) {
  Editor *e = check_editor(L);
  if (lua_type(L, 2) != LUA_TSTRING) return refuse(L, "editor: expected a line, found %s", found(L, 2));
  const char *line = lua_tostring(L, 2);
  const char *draft = e->file ? lua_pushfstring(L, "%s.%d", e->file, (int)getpid()) : NULL;
  history(e->history, &e->event, H_ENTER, line);
  if (draft) {
    int written = history(e->history, &e->event, H_SAVE, draft) >= 0 && rename(draft, e->file) == 0;
    if (!written) remove(draft);
    lua_pushboolean(L, written);
    return 1;
  }
  lua_pushboolean(L, 0);
  return 1;
}

void open_editor(lua_State *L) {
  static const luaL_Reg methods[] = {{"line", read_line},       {"remember", remember},
                                     {"close", close_editor},   {"__gc", close_editor},
                                     {"__close", close_editor}, {NULL, NULL}};
  luaL_newmetatable(L, EDITOR);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, new_editor);
  lua_setfield(L, -2, "editor");
}
