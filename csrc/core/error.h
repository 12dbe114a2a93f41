/* Failure as a value. The core never raises, never exits and knows no Lua: a function that fails leaves one
 * line in this thread's message and returns 0 (or NULL). The message names the thing, the expected, the
 * found. */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(default) /* for the shared objects of devices */

/* Stores the formatted line as this thread's message. Always returns 0, so `return fail(...)` reads well. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* fail(), when memory is short. Whoever does without what failed, or tries another way, asks
 * failed_for_memory() first: that would hide the want of memory behind other results. */
int fail_memory(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool failed_for_memory(void);

/* fail(), for what a kernel read in a tensor: where nobody waits for it, the device keeps the message. */
int fail_value(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool failed_for_value(void);

/* This thread's last failure, to be handed to another thread: there fail_again says the same. */
typedef struct Failure {
  char message[1024];
  int kind;
} Failure;
Failure failure_take(void);
int fail_again(const Failure *f);

/* This thread's last message; "" when nothing has failed yet. */
const char *error_message(void);

/* Copies text, control characters written out (\n, \x1b), so that a message stays one line whatever a file's
 * header or name holds, and tells a terminal nothing. What does not fit into `size` bytes is cut. fail() does
 * it. */
void error_plain(char *to, size_t size, const char *from);

/* Set by Ctrl-C (the Lua side installs the handler). Long loops look at it; `parallel` does so by itself. */
extern volatile sig_atomic_t interrupted;

#pragma GCC visibility pop

#endif
