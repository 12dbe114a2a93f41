/* The terminal: its size, and its keys one by one, without line editing (that is editor.c). Linux only. */
#include "lua/lib.h"
#include "lua/system.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define KEYS "cohesiv.keys"
enum {
  KEY_BYTES = 256,
  ESCAPE = 27,
  ESCAPE_MS = 50
}; /* an escape alone is one that nothing follows so soon */

/* terminal() → columns, rows, width and height in pixels (0 where it does not tell) of the terminal on stdout or
 * stderr; nothing when there is none. */
static int terminal(lua_State *L) {
  struct winsize size;
  for (int fd = 1; fd <= 2; fd++)
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      lua_pushinteger(L, size.ws_col);
      lua_pushinteger(L, size.ws_row);
      lua_pushinteger(L, size.ws_xpixel);
      lua_pushinteger(L, size.ws_ypixel);
      return 4;
    }
  return 0;
}

typedef struct Keys {
  struct termios before;
  int open;
} Keys;

static int close_keys(lua_State *L) {
  Keys *k = check_object(L, 1, KEYS, "keys");
  if (k->open) tcsetattr(STDIN_FILENO, TCSAFLUSH, &k->before);
  k->open = 0;
  return 0;
}

/* keys() → the keys of the terminal on stdin, unseen and as they are pressed until closed. Ctrl-C stays a signal;
 * Ctrl-Z, which would leave the terminal so, is a key. */
static int new_keys(lua_State *L) {
  Keys *k = lua_newuserdatauv(L, sizeof *k, 0);
  k->open = 0;
  luaL_setmetatable(L, KEYS);
  if (tcgetattr(STDIN_FILENO, &k->before) != 0)
    return refuse(L, "keys: expected a terminal on stdin, found: %s", strerror(errno));
  struct termios raw = k->before;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
  raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  raw.c_cc[VSUSP] = _POSIX_VDISABLE;
  if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0)
    return refuse(L, "keys: expected a terminal that can be set, found: %s", strerror(errno));
  k->open = 1;
  return 1;
}

/* A byte within so many milliseconds (-1: however long): 1, 0 for none, -1 at the end or on a signal. */
static int read_byte(int milliseconds, char *byte) {
  struct pollfd wait = {STDIN_FILENO, POLLIN, 0};
  for (;;) {
    if (signal_pending()) return -1;
    int ready = poll(&wait, 1, milliseconds);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return ready;
    ssize_t got = read(STDIN_FILENO, byte, 1);
    if (got < 0 && errno == EINTR) continue;
    return got == 1 ? 1 : -1;
  }
}

/* Whether `text`, which begins with an escape, is a whole sequence of ECMA-48: ESC [ … final, ESC O x, a string
 * (ESC P, _, ], ^) up to BEL or ESC \, else two bytes. */
static int is_whole(const char *text, size_t size) {
  if (size < 2) return 0;
  char last = text[size - 1];
  if (text[1] == '[') return size > 2 && last >= 0x40 && last <= 0x7e;
  if (text[1] == 'O') return size > 2;
  if (strchr("P_]^", text[1])) return size > 2 && (last == 7 || (last == '\\' && text[size - 2] == ESCAPE));
  return 1;
}

/* How many bytes a character of UTF-8 has that begins with this one. */
static size_t character_bytes(unsigned char first) {
  return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
}

/* keys:read(seconds or nil) → the next key: a character, or the whole sequence of a special key or of an answer;
 * "" when none came in time; nil at the end of input or on a signal. */
static int read_key(lua_State *L) {
  Keys *k = check_object(L, 1, KEYS, "keys");
  if (!k->open) return refuse(L, "keys: are closed");
  int milliseconds = lua_isnoneornil(L, 2) ? -1 : (int)(1000 * check_finite(L, 2, "keys: seconds"));
  char text[KEY_BYTES];
  size_t size = 0;
  int got = read_byte(milliseconds, text);
  if (got > 0) {
    size = 1;
    if (text[0] == ESCAPE)
      while (size < KEY_BYTES && !is_whole(text, size) && (got = read_byte(ESCAPE_MS, text + size)) > 0)
        size++;
    else
      for (size_t all = character_bytes((unsigned char)text[0]); size < all && got > 0;)
        if ((got = read_byte(ESCAPE_MS, text + size)) > 0) size++;
  }
  if (size == 0 && got < 0)
    lua_pushnil(L);
  else
    lua_pushlstring(L, text, size);
  return 1;
}

void open_terminal(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"read", read_key}, {"close", close_keys}, {"__gc", close_keys}, {"__close", close_keys}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"terminal", terminal}, {"keys", new_keys}, {NULL, NULL}};
  luaL_newmetatable(L, KEYS);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
