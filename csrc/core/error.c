/* The one message slot per thread behind error.h. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

volatile sig_atomic_t interrupted = 0;

static _Thread_local char message[1024];
typedef enum Kind { PLAIN, MEMORY, VALUE } Kind;
static _Thread_local Kind kind;

/* A control character of ASCII, or the first byte of one of UTF-8's (U+0080 to U+009F). */
static bool is_control(const unsigned char *c) {
  return *c < ' ' || *c == 127 || (*c == 0xC2 && c[1] >= 0x80 && c[1] <= 0x9F);
}

static int write_control(char *to, size_t size, const unsigned char *c) {
  const char *named = strchr("\nn\rr\tt", *c);
  if (*c == 0xC2) return snprintf(to, size, "\\xc2\\x%02x", c[1]);
  return *c && named ? snprintf(to, size, "\\%c", named[1]) : snprintf(to, size, "\\x%02x", *c);
}

void error_plain(char *to, size_t size, const char *from) {
  const unsigned char *c = (const unsigned char *)from;
  for (size_t at = 0; size; c++) {
    char one[16] = {(char)*c};
    size_t n = *c && is_control(c) ? (size_t)write_control(one, sizeof one, c) : 1;
    bool fits = at + n < size;
    memcpy(to + at, fits ? one : "", fits ? n : 1);
    if (!*c || !fits) return;
    if (*c == 0xC2 && n > 1) c++;
    at += n;
  }
}

static void keep(Kind of, const char *format, va_list args) {
  char text[sizeof message]; /* the arguments may hold the old message */
  vsnprintf(text, sizeof text, format, args);
  error_plain(message, sizeof message, text);
  kind = of;
}

int fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  keep(PLAIN, format, args);
  va_end(args);
  return 0;
}

int fail_memory(const char *format, ...) {
  va_list args;
  va_start(args, format);
  keep(MEMORY, format, args);
  va_end(args);
  return 0;
}

int fail_value(const char *format, ...) {
  va_list args;
  va_start(args, format);
  keep(VALUE, format, args);
  va_end(args);
  return 0;
}

bool failed_for_memory(void) { return kind == MEMORY; }

bool failed_for_value(void) { return kind == VALUE; }

Failure failure_take(void) {
  Failure f = {.kind = kind};
  snprintf(f.message, sizeof f.message, "%s", message);
  return f;
}

int fail_again(const Failure *f) {
  snprintf(message, sizeof message, "%s", f->message);
  kind = f->kind;
  return 0;
}

const char *error_message(void) { return message; }
