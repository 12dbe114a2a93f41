/* Pickles, read as data. A small stack machine (protocols 2 to 5, the opcodes that torch.save writes) turns
 * the bytes into a tree of values and never does what they ask for: a call stays a call, a name stays a name,
 * and a name that is not on the caller's list refuses the whole file.
 *
 *   Pickle ── values[] ─┬─ number, text
 *                       ├─ tuple, list, dict ── items[] ──────> indices into values
 *                       └─ call ── callee, argument ──────────> indices into values (shared, even cyclic)
 *
 * Memory is bounded by PICKLE_VALUES and by 100 times the pickle's bytes: a value takes a byte at least, and
 * places of the memo are fewer than bytes. */
#ifndef IO_PICKLE_H
#define IO_PICKLE_H

#include <stddef.h>
#include <stdint.h>

enum { PICKLE_VALUES = 1 << 22 }; /* what a pickle may push at most */

typedef enum PickleKind {
  PICKLE_OTHER, /* sets, and numbers in lines of text: their content is dropped */
  PICKLE_NONE,
  PICKLE_BOOL,
  PICKLE_INT,
  PICKLE_LONG, /* of more than 64 bits: `text` is its two's complement, little-endian */
  PICKLE_REAL,
  PICKLE_TEXT,
  PICKLE_BYTES,
  PICKLE_TUPLE,
  PICKLE_LIST,
  PICKLE_DICT, /* also collections.OrderedDict and collections.Counter; items are key, value, key, value, … */
  PICKLE_GLOBAL,
  PICKLE_CALL,
  PICKLE_PERSISTENT /* a reference to what lies outside the pickle; pair[1] says which */
} PickleKind;

typedef struct PickleValue {
  PickleKind kind;
  uint32_t count,
      room; /* of items; bytes of a text; of a CALL room is 1 + the place of its attributes, 0: none */
  union {
    int64_t number; /* INT and BOOL; GLOBAL: the place in the caller's list */
    double real;
    const char *text; /* within the bytes that were read, not terminated */
    uint32_t *items;  /* TUPLE, LIST, DICT */
    uint32_t pair[2]; /* CALL: callee and argument (a tuple) */
  } as;
} PickleValue;

typedef struct Pickle {
  PickleValue *values;
  uint32_t count, room;
  uint32_t root;
  size_t size; /* bytes up to its end: files may hold several, one after the other */
} Pickle;

/* Reads a pickle at the start of `size` bytes, which must outlive the result. `name` is the file's, for
 * messages; `allowed` the full names ("torch.FloatStorage") that may occur, ending with NULL. 0 with a
 * message, and nothing to free, when the pickle is damaged, too large, or names anything else. */
int pickle_read(const char *name, const unsigned char *data, size_t size, const char *const *allowed,
                Pickle *out);
void pickle_free(Pickle *p);

/* Copies `size` bytes of a text for a message: at most room - 1, control bytes replaced. Returns `to`. */
const char *pickle_text(char *to, size_t room, const char *text, size_t size);

#endif
