/* The opcodes of pickle.h's stack machine (Python's pickletools has them). It knows values, not what they
 * mean; it resolves no name, calls nothing, and has no recursion: trees are walked by who reads them. */
#include "io/pickle_machine.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROTOCOL = 5, NAME_MAX_BYTES = 256 };

/* ---- numbers and texts ---- */

static int push_number(Machine *m, PickleKind kind, int64_t number) {
  PickleValue *v = machine_add(m, kind);
  if (v) v->as.number = number;
  return v != NULL;
}

/* A text or bytes behind their length. */
static int push_text(Machine *m, PickleKind kind, int length_bytes) {
  uint64_t size;
  if (!machine_take_number(m, length_bytes, &size)) return 0;
  const unsigned char *at = machine_take(m, size);
  if (at && size > UINT32_MAX) return machine_refuse(m, "texts of less than 4 GiB", "a longer one");
  PickleValue *v = at ? machine_add(m, kind) : NULL;
  if (!v) return 0;
  v->count = (uint32_t)size;
  v->as.text = (const char *)at;
  return 1;
}

static int push_integer(Machine *m, int bytes) {
  uint64_t value;
  if (!machine_take_number(m, bytes, &value)) return 0;
  return push_number(m, PICKLE_INT, bytes == 4 ? (int64_t)(int32_t)value : (int64_t)value);
}

static int push_long(Machine *m, int length_bytes) {
  uint64_t size, value = 0;
  const unsigned char *at;
  if (!machine_take_number(m, length_bytes, &size) || !(at = machine_take(m, size))) return 0;
  if (size > UINT32_MAX) return machine_refuse(m, "a number of less than 4 GiB", "a longer one");
  if (size > 8) {
    PickleValue *v = machine_add(m, PICKLE_LONG);
    if (v) v->as.text = (const char *)at, v->count = (uint32_t)size;
    return v != NULL;
  }
  memcpy(&value, at, size);
  if (size > 0 && size < 8 && at[size - 1] & 0x80) value |= ~(uint64_t)0 << (8 * size); /* two's complement */
  return push_number(m, PICKLE_INT, (int64_t)value);
}

static int push_real(Machine *m) {
  uint64_t bits;
  if (!machine_take_number(m, 8, &bits)) return 0;
  bits = __builtin_bswap64(bits);
  PickleValue *v = machine_add(m, PICKLE_REAL);
  if (v) memcpy(&v->as.real, &bits, 8);
  return v != NULL;
}

/* ---- names ---- */

/* module.name, if it is on the list; Python 2 says __builtin__ for builtins. */
static int push_global(Machine *m, const char *module, size_t module_size, const char *name, size_t size) {
  char full[NAME_MAX_BYTES], a[NAME_MAX_BYTES], b[NAME_MAX_BYTES];
  if (module_size == 11 && memcmp(module, "__builtin__", 11) == 0) {
    module = "builtins";
    module_size = 8;
  }
  if (module_size + size + 2 <= sizeof full) {
    memcpy(full, module, module_size);
    full[module_size] = '.';
    memcpy(full + module_size + 1, name, size);
    full[module_size + 1 + size] = 0;
    for (int i = 0; m->allowed[i]; i++)
      if (strlen(m->allowed[i]) == module_size + 1 + size && strcmp(m->allowed[i], full) == 0)
        return push_number(m, PICKLE_GLOBAL, i);
  }
  return fail("%s: refused: %s.%s is not on the list of what weights may name", m->name,
              pickle_text(a, sizeof a, module, module_size), pickle_text(b, sizeof b, name, size));
}

static int global_in_lines(Machine *m) {
  const char *module, *name;
  size_t module_size, size;
  return machine_take_line(m, &module, &module_size) && machine_take_line(m, &name, &size) &&
         push_global(m, module, module_size, name, size);
}

static int global_from_stack(Machine *m) {
  const PickleValue *name = machine_peek(m, 0, PICKLE_TEXT, "a name"),
                    *module = name ? machine_peek(m, 1, PICKLE_TEXT, "a module's name") : NULL;
  if (!module) return 0;
  m->depth -= 2;
  return push_global(m, module->as.text, module->count, name->as.text, name->count);
}

/* ---- containers ---- */

/* Moves the topmost `count` values into the container. */
static int extend(Machine *m, PickleValue *v, uint32_t count) {
  if (count == 0) return 1;
  if (!machine_grow(m, &v->as.items, &v->room, v->count + count)) return 0;
  memcpy(v->as.items + v->count, m->stack + m->depth - count, count * sizeof *m->stack);
  v->count += count;
  m->depth -= count;
  return 1;
}

static int make_tuple(Machine *m, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (i >= m->depth || m->stack[m->depth - 1 - i] == MARK)
      return machine_refuse(m, "values on the stack", "too few");
  uint32_t *items = NULL, room = 0;
  if (count && !machine_grow(m, &items, &room, count)) return 0;
  if (count) memcpy(items, m->stack + m->depth - count, count * sizeof *items);
  m->depth -= count;
  PickleValue *v = machine_add(m, PICKLE_TUPLE);
  if (!v) {
    free(items);
    return 0;
  }
  v->as.items = items;
  v->count = count;
  v->room = room;
  return 1;
}

static int tuple_to_mark(Machine *m) {
  uint32_t count;
  if (!machine_above_mark(m, &count) || !make_tuple(m, count)) return 0;
  m->stack[m->depth - 2] = m->stack[m->depth - 1]; /* over the mark */
  m->depth--;
  return 1;
}

/* APPENDS, SETITEMS and their forms for one element: `step` values make an element. */
static int extend_to_mark(Machine *m, PickleKind kind, uint32_t step) {
  uint32_t count;
  if (!machine_above_mark(m, &count)) return 0;
  PickleValue *v = machine_peek(m, count + 1, kind, kind == PICKLE_LIST ? "a list" : "a dict");
  if (!v) return 0;
  if (count % step) return machine_refuse(m, "keys and values in pairs", "an odd number");
  if (!extend(m, v, count)) return 0;
  m->depth--;
  return 1;
}

static int extend_by_one(Machine *m, PickleKind kind, uint32_t step) {
  PickleValue *v = machine_peek(m, step, kind, kind == PICKLE_LIST ? "a list" : "a dict");
  for (uint32_t i = 0; v && i < step; i++)
    if (m->stack[m->depth - 1 - i] == MARK) return machine_refuse(m, "a value on the stack", "a mark");
  return v && extend(m, v, step);
}

/* Drops everything down to the topmost mark, with it. */
static int drop_to_mark(Machine *m) {
  uint32_t count;
  if (!machine_above_mark(m, &count)) return 0;
  m->depth -= count + 1;
  return 1;
}

/* ---- calls, which stay what they are ---- */

static int is_dict_type(const Machine *m, const PickleValue *callee) {
  const char *name = m->allowed[callee->as.number];
  return strcmp(name, "collections.OrderedDict") == 0 || strcmp(name, "collections.Counter") == 0;
}

/* OrderedDict(), OrderedDict([(key, value), …]) or Counter({…}): a dict, whose content replaces its arguments
 * on the stack. */
static int make_dict(Machine *m, uint32_t arguments) {
  uint32_t dict = m->p->count;
  if (!machine_add(m, PICKLE_DICT)) return 0;
  const PickleValue *values = m->p->values, *a = &values[arguments];
  const PickleValue *given = a->count ? &values[a->as.items[0]] : NULL;
  if (!given) return 1;
  if (given->kind != PICKLE_LIST && given->kind != PICKLE_DICT)
    return machine_refuse(m, "a list of pairs", "another kind");
  uint32_t from = m->depth;
  for (uint32_t i = 0; i < given->count; i++) {
    const PickleValue *pair = &values[given->as.items[i]];
    if (given->kind == PICKLE_DICT) {
      if (!machine_push(m, given->as.items[i])) return 0;
    } else if ((pair->kind != PICKLE_LIST && pair->kind != PICKLE_TUPLE) || pair->count != 2) {
      return machine_refuse(m, "a list of pairs", "something else in it");
    } else if (!machine_push(m, pair->as.items[0]) || !machine_push(m, pair->as.items[1])) {
      return 0;
    }
  }
  return extend(m, &m->p->values[dict], m->depth - from);
}

/* REDUCE and NEWOBJ: callee and a tuple of arguments. */
static int make_call(Machine *m) {
  uint32_t arguments, callee;
  if (!machine_peek(m, 0, PICKLE_TUPLE, "a tuple of arguments") || !machine_pop(m, &arguments) ||
      !machine_pop(m, &callee))
    return 0;
  if (m->p->values[callee].kind != PICKLE_GLOBAL)
    return fail("%s: refused: a call of something that is no listed name", m->name);
  if (is_dict_type(m, &m->p->values[callee])) return make_dict(m, arguments);
  PickleValue *v = machine_add(m, PICKLE_CALL);
  if (!v) return 0;
  v->as.pair[0] = callee;
  v->as.pair[1] = arguments;
  return 1;
}

/* BUILD: attributes of a dict (state dicts carry _metadata), which nobody reads, or of a call's result, which keeps
 * their place. */
static int drop_state(Machine *m) {
  uint32_t state, object;
  if (!machine_pop(m, &state) || !machine_pop(m, &object)) return 0;
  PickleKind kind = m->p->values[object].kind;
  if (kind != PICKLE_DICT && kind != PICKLE_CALL)
    return fail("%s: refused: attributes of something that is neither a dict nor a tensor", m->name);
  if (kind == PICKLE_CALL) m->p->values[object].room = state + 1;
  return machine_push(m, object);
}

static int make_persistent(Machine *m) {
  uint32_t id;
  PickleValue *v = machine_pop(m, &id) ? machine_add(m, PICKLE_PERSISTENT) : NULL;
  if (v) v->as.pair[1] = id;
  return v != NULL;
}

/* ---- the memo ---- */

static int put(Machine *m, uint64_t place) {
  uint32_t top = 0;
  if (place >= PICKLE_VALUES || place > (uint64_t)(m->end - m->begin))
    return machine_refuse(m, "a memo of fewer places than bytes", "more");
  if (!machine_pop(m, &top) || !machine_grow(m, &m->memo, &m->memo_room, (uint32_t)place + 1)) return 0;
  if (m->memo[place] == 0) m->memo_next++;
  m->memo[place] = top + 1;
  m->stack[m->depth++] = top; /* where it was */
  return 1;
}

static int put_at(Machine *m, int bytes) {
  uint64_t place;
  return machine_take_number(m, bytes, &place) && put(m, place);
}

static int get_at(Machine *m, int bytes) {
  uint64_t place;
  if (!machine_take_number(m, bytes, &place)) return 0;
  if (place >= m->memo_room || m->memo[place] == 0)
    return machine_refuse(m, "a place of the memo that is set", "another");
  return machine_push(m, m->memo[place] - 1);
}

/* ---- the machine ---- */

static int refuse_opcode(Machine *m, unsigned char op) {
  static const struct {
    unsigned char op;
    const char *name;
  } known[] = {{'o', "OBJ"},   {0x92, "NEWOBJ_EX"}, {0x82, "EXT1"},        {0x83, "EXT2"},
               {0x84, "EXT4"}, {'P', "PERSID"},     {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].op == op) return fail("%s: refused: the pickle opcode %s", m->name, known[i].name);
  char text[8];
  snprintf(text, sizeof text, "0x%02x", op);
  m->at--;
  return machine_refuse(m, "an opcode that torch.save writes", text);
}

static int protocol(Machine *m) {
  uint64_t version;
  if (!machine_take_number(m, 1, &version)) return 0;
  return version <= PROTOCOL ||
         fail("%s: expected a pickle of protocol 2 to %d, found %d", m->name, PROTOCOL, (int)version);
}

static int step(Machine *m, unsigned char op) {
  uint32_t dropped;
  uint64_t skipped;
  const char *line;
  size_t size;
  switch (op) {
  case 0x80: return protocol(m);
  case 0x95:
    return machine_take_number(m, 8, &skipped); /* FRAME: its length is for those who read in blocks */
  case 'N': return machine_add(m, PICKLE_NONE) != NULL;
  case 0x88: return push_number(m, PICKLE_BOOL, 1);
  case 0x89: return push_number(m, PICKLE_BOOL, 0);
  case 'K': return push_integer(m, 1);
  case 'M': return push_integer(m, 2);
  case 'J': return push_integer(m, 4);
  case 0x8a: return push_long(m, 1);
  case 0x8b: return push_long(m, 4);
  case 'G': return push_real(m);
  case 'U':
  case 0x8c: return push_text(m, PICKLE_TEXT, 1);
  case 'T':
  case 'X': return push_text(m, PICKLE_TEXT, 4);
  case 0x8d: return push_text(m, PICKLE_TEXT, 8);
  case 'C': return push_text(m, PICKLE_BYTES, 1);
  case 'B': return push_text(m, PICKLE_BYTES, 4);
  case 0x8e:
  case 0x96: return push_text(m, PICKLE_BYTES, 8); /* BINBYTES8, BYTEARRAY8 */
  case 'S':
  case 'V':
  case 'I': /* only on the way to the name that they are arguments of */
    return machine_take_line(m, &line, &size) && machine_add(m, PICKLE_OTHER) != NULL;
  case '(': return machine_push(m, MARK);
  case '0': return machine_pop(m, &dropped);
  case '1': return drop_to_mark(m);
  case ')': return make_tuple(m, 0);
  case 0x85: return make_tuple(m, 1);
  case 0x86: return make_tuple(m, 2);
  case 0x87: return make_tuple(m, 3);
  case 't': return tuple_to_mark(m);
  case ']': return machine_add(m, PICKLE_LIST) != NULL;
  case 'a': return extend_by_one(m, PICKLE_LIST, 1);
  case 'e': return extend_to_mark(m, PICKLE_LIST, 1);
  case '}': return machine_add(m, PICKLE_DICT) != NULL;
  case 's': return extend_by_one(m, PICKLE_DICT, 2);
  case 'u': return extend_to_mark(m, PICKLE_DICT, 2);
  case 0x8f: return machine_add(m, PICKLE_OTHER) != NULL; /* EMPTY_SET */
  case 0x90: return drop_to_mark(m) && machine_peek(m, 0, PICKLE_OTHER, "a set");
  case 0x91: return drop_to_mark(m) && machine_add(m, PICKLE_OTHER) != NULL; /* FROZENSET */
  case 'q': return put_at(m, 1);
  case 'r': return put_at(m, 4);
  case 0x94: return put(m, m->memo_next);
  case 'h': return get_at(m, 1);
  case 'j': return get_at(m, 4);
  case 'c':
  case 'i': return global_in_lines(m) && (op == 'c' || machine_refuse(m, "a tuple of arguments", "INST"));
  case 0x93: return global_from_stack(m);
  case 'R':
  case 0x81: return make_call(m);
  case 'b': return drop_state(m);
  case 'Q': return make_persistent(m);
  default: return refuse_opcode(m, op);
  }
}

int pickle_read(const char *name, const unsigned char *data, size_t size, const char *const *allowed,
                Pickle *out) {
  *out = (Pickle){0};
  Machine m = {.name = name, .begin = data, .at = data, .end = data + size, .allowed = allowed, .p = out};
  const unsigned char *op;
  int ok = 1, stopped = 0;
  while (ok && !stopped) {
    if (!(op = machine_take(&m, 1)))
      ok = 0;
    else if (*op == '.')
      stopped = ok = machine_pop(&m, &out->root);
    else
      ok = step(&m, *op);
  }
  free(m.stack);
  free(m.memo);
  out->size = (size_t)(m.at - m.begin);
  if (!ok) pickle_free(out);
  return ok;
}

void pickle_free(Pickle *p) {
  for (uint32_t i = 0; i < p->count; i++) {
    PickleKind kind = p->values[i].kind;
    if (kind == PICKLE_TUPLE || kind == PICKLE_LIST || kind == PICKLE_DICT) free(p->values[i].as.items);
  }
  free(p->values);
  *p = (Pickle){0};
}
