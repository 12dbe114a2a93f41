/* The stack, the memo's growth and the bytes of the pickle machine: see pickle_machine.h. */
#include "io/pickle_machine.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

const char *pickle_text(char *to, size_t room, const char *text, size_t size) {
  size_t n = size < room - 1 ? size : room - 1;
  for (size_t i = 0; i < n; i++) to[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
  to[n] = 0;
  return to;
}

int machine_refuse(const Machine *m, const char *expected, const char *found) {
  return fail("%s: expected %s at byte %zu of its pickle, found %s", m->name, expected,
              (size_t)(m->at - m->begin), found);
}

/* ---- growing lists ---- */

int machine_grow(const Machine *m, uint32_t **list, uint32_t *room, uint32_t wanted) {
  if (wanted <= *room) return 1;
  uint32_t n = *room ? *room : 4;
  while (n < wanted) n *= 2; /* wanted is at most PICKLE_VALUES */
  uint32_t *more = realloc(*list, n * sizeof **list);
  if (!more) return fail("%s: expected memory for its pickle, found none left", m->name);
  memset(more + *room, 0, (n - *room) * sizeof *more);
  *list = more;
  *room = n;
  return 1;
}

int machine_push(Machine *m, uint32_t index) {
  if (m->pushed == PICKLE_VALUES)
    return fail("%s: expected a pickle of at most %d values, found more", m->name, PICKLE_VALUES);
  if (!machine_grow(m, &m->stack, &m->stack_room, m->depth + 1)) return 0;
  m->pushed++;
  m->stack[m->depth++] = index;
  return 1;
}

PickleValue *machine_add(Machine *m, PickleKind kind) {
  Pickle *p = m->p;
  if (p->count == p->room) {
    uint32_t room = p->room ? 2 * p->room : 256;
    PickleValue *more = realloc(p->values, room * sizeof *more);
    if (!more) {
      fail("%s: expected memory for its pickle, found none left", m->name);
      return NULL;
    }
    p->values = more;
    p->room = room;
  }
  if (!machine_push(m, p->count)) return NULL;
  p->values[p->count] = (PickleValue){.kind = kind};
  return &p->values[p->count++];
}

int machine_pop(Machine *m, uint32_t *index) {
  if (m->depth == 0 || m->stack[m->depth - 1] == MARK)
    return machine_refuse(m, "a value on the stack", m->depth ? "a mark" : "an empty stack");
  *index = m->stack[--m->depth];
  return 1;
}

int machine_above_mark(const Machine *m, uint32_t *count) {
  for (*count = 0; *count < m->depth; ++*count)
    if (m->stack[m->depth - 1 - *count] == MARK) return 1;
  return machine_refuse(m, "a mark on the stack", "none");
}

PickleValue *machine_peek(const Machine *m, uint32_t below, PickleKind kind, const char *expected) {
  if (below < m->depth && m->stack[m->depth - 1 - below] != MARK) {
    PickleValue *v = &m->p->values[m->stack[m->depth - 1 - below]];
    if (v->kind == kind) return v;
  }
  machine_refuse(m, expected, "something else");
  return NULL;
}

/* ---- reading ---- */

const unsigned char *machine_take(Machine *m, uint64_t size) {
  if (size > (uint64_t)(m->end - m->at)) {
    fail("%s: expected a whole pickle, found its end after %zu bytes (truncated?)", m->name,
         (size_t)(m->end - m->begin));
    return NULL;
  }
  const unsigned char *at = m->at;
  m->at += size;
  return at;
}

int machine_take_number(Machine *m, int bytes, uint64_t *value) {
  const unsigned char *at = machine_take(m, (uint64_t)bytes);
  *value = 0;
  if (at) memcpy(value, at, (size_t)bytes);
  return at != NULL;
}

int machine_take_line(Machine *m, const char **text, size_t *size) {
  const unsigned char *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
  if (!end) return machine_take(m, (uint64_t)(m->end - m->at) + 1) != NULL; /* says what is wrong */
  *text = (const char *)m->at;
  *size = (size_t)(end - m->at);
  m->at = end + 1;
  return 1;
}
