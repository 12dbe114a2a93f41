/* A strict reader of the little JSON that headers need: objects of strings, numbers and lists, read in order.
 * Not a general parser: no floats, no booleans, no nesting beyond what the caller asks for. */
#ifndef IO_SCAN_H
#define IO_SCAN_H

#include "io/file.h"

typedef struct Scan {
  const char *at, *end;
  const char *name; /* of the file, for messages */
} Scan;

/* Skips blanks; 1 and moves on when the next byte is c. */
int scan_is(Scan *s, char c);
/* scan_is or a message. */
int scan_want(Scan *s, char c);
/* A string with its escapes resolved (UTF-8), terminated; refuses raw control bytes and \u0000. Replaces
 * *out. */
int scan_string(Scan *s, Bytes *out);
/* A whole number of 0 .. 2^62. */
int scan_number(Scan *s, long *out);

#endif
