/* What the opcodes of pickle.c work on: a stack of indices into the values, a memo, and the bytes that are
 * left. */
#ifndef IO_PICKLE_MACHINE_H
#define IO_PICKLE_MACHINE_H

#include "io/pickle.h"

#define MARK UINT32_MAX /* on the stack, where a value's index could be */

typedef struct Machine {
  const char *name;
  const unsigned char *begin, *at, *end;
  const char *const *allowed;
  Pickle *p;
  uint32_t *stack, depth, stack_room;
  uint32_t *memo, memo_room, memo_next; /* index + 1, 0 where nothing is kept */
  uint32_t pushed;
} Machine;

/* Fails with "FILE: expected … at byte N of its pickle, found …". */
int machine_refuse(const Machine *m, const char *expected, const char *found);

/* Room for `wanted` numbers (at most twice PICKLE_VALUES); new ones are 0. */
int machine_grow(const Machine *m, uint32_t **list, uint32_t *room, uint32_t wanted);
int machine_push(Machine *m, uint32_t index);
/* A new value on top of the stack, its index the last; good until the next one. NULL with a message. */
PickleValue *machine_add(Machine *m, PickleKind kind);
/* The topmost value, which leaves the stack. */
int machine_pop(Machine *m, uint32_t *index);
/* How many values lie above the topmost mark. */
int machine_above_mark(const Machine *m, uint32_t *count);
/* The value `below` places under the top, of one kind; NULL with a message that names what was expected. */
PickleValue *machine_peek(const Machine *m, uint32_t below, PickleKind kind, const char *expected);

/* The next `size` bytes; NULL with a message where the pickle ends before. */
const unsigned char *machine_take(Machine *m, uint64_t size);
/* A little-endian number of 1 to 8 bytes. */
int machine_take_number(Machine *m, int bytes, uint64_t *value);
/* The bytes up to the next line feed, which is dropped. */
int machine_take_line(Machine *m, const char **text, size_t *size);

#endif
