/* The one message slot per thread behind error.h. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

volatile sig_atomic_t interrupted = 0;

static _Thread_local char message[1024];
static _Thread_local bool memory_short;

static void keep(const char *format, va_list args) {
  char text[sizeof message]; /* the arguments may hold the old message */
  vsnprintf(text, sizeof text, format, args);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ') *c = '?'; /* one line, whatever a file's header or name holds */
  snprintf(message, sizeof message, "%s", text);
}

int fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  keep(format, args);
  va_end(args);
  memory_short = false;
  return 0;
}

int fail_memory(const char *format, ...) {
  va_list args;
  va_start(args, format);
  keep(format, args);
  va_end(args);
  memory_short = true;
  return 0;
}

bool failed_for_memory(void) { return memory_short; }

const char *error_message(void) { return message; }
