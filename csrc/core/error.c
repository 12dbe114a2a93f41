/* The one message slot per thread behind error.h. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

volatile sig_atomic_t interrupted = 0;

static _Thread_local char message[1024];

int fail(const char *format, ...) {
  va_list args;
  char text[sizeof message]; /* the arguments may hold the old message */
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ') *c = '?'; /* one line, whatever a file's header or name holds */
  snprintf(message, sizeof message, "%s", text);
  return 0;
}

const char *error_message(void) { return message; }
