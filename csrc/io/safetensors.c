/* safetensors (format of huggingface/safetensors 0.4): 8 bytes of header length, a JSON header, the data.
 * The header is hostile until checked: offsets must tile the data exactly,
 * sizes must agree with the shapes. */
#include "io/array.h"

#include "core/error.h"
#include "io/kind.h"
#include "io/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 100 << 20 };
static const char *const names[DTYPES] = {"F32", "F64", "U8", "I32", "I64", "BF16", "F16"};

/* One row of the header. */
typedef struct Entry {
  char *name;
  Dtype dtype;
  int rank;
  long shape[RANK_MAX];
  long begin, end;
} Entry;

typedef struct Header {
  Entry *entries;
  long count, room;
  Bytes text; /* the string read last */
} Header;

static void header_free(Header *h) {
  for (long i = 0; i < h->count; i++) free(h->entries[i].name);
  free(h->entries);
  bytes_free(&h->text);
}

/* "[1, 2]" into list, at most `room` numbers. */
static int scan_list(Scan *s, long *list, int room, int *count) {
  *count = 0;
  if (!scan_want(s, '[')) return 0;
  if (scan_is(s, ']')) return 1;
  do {
    if (*count == room) return fail("%s: expected lists of at most %d numbers, found more", s->name, room);
    if (!scan_number(s, &list[(*count)++])) return 0;
  } while (scan_is(s, ','));
  return scan_want(s, ']');
}

static int parse_dtype(const char *text, Entry *e, const char *file) {
  for (int d = 0; d < DTYPES; d++)
    if (strcmp(text, names[d]) == 0) {
      e->dtype = (Dtype)d;
      return 1;
    }
  return fail("%s: %.100s: expected a dtype of F64, F32, F16, BF16, I64, I32, U8, found %.20s", file, e->name,
              text);
}

/* {"dtype":"F32","shape":[1,2],"data_offsets":[0,8]} in any order, each once. */
static int parse_entry(Scan *s, Header *h, Entry *e) {
  int seen = 0, two;
  long offsets[2];
  if (!scan_want(s, '{')) return 0;
  do {
    if (!scan_string(s, &h->text) || !scan_want(s, ':')) return 0;
    const char *key = (const char *)h->text.data;
    int field = strcmp(key, "dtype") == 0          ? 1
                : strcmp(key, "shape") == 0        ? 2
                : strcmp(key, "data_offsets") == 0 ? 4
                                                   : 0;
    if (!field || (seen & field))
      return fail("%s: %.100s: expected dtype, shape and data_offsets once each, found %.40s", s->name,
                  e->name, key);
    seen |= field;
    if (field == 1 && (!scan_string(s, &h->text) || !parse_dtype((const char *)h->text.data, e, s->name)))
      return 0;
    if (field == 2 && !scan_list(s, e->shape, RANK_MAX, &e->rank)) return 0;
    if (field == 4 && (!scan_list(s, offsets, 2, &two) || two != 2))
      return fail("%s: %.100s: expected two data_offsets", s->name, e->name);
  } while (scan_is(s, ','));
  if (seen != 7)
    return fail("%s: %.100s: expected dtype, shape and data_offsets, found fewer", s->name, e->name);
  e->begin = offsets[0];
  e->end = offsets[1];
  return scan_want(s, '}');
}

/* {"key":"value", …} of texts */
static int parse_metadata(Scan *s, Header *h, Bundle *out) {
  if (!scan_want(s, '{')) return 0;
  if (scan_is(s, '}')) return 1;
  do {
    if (!scan_string(s, &h->text) || !scan_want(s, ':')) return 0;
    char *key = strdup((const char *)h->text.data);
    int ok = key ? scan_string(s, &h->text) && bundle_note(out, key, (const char *)h->text.data)
                 : fail("%s: expected memory for its metadata, found none left", s->name);
    free(key);
    if (!ok) return 0;
  } while (scan_is(s, ','));
  return scan_want(s, '}');
}

static int add_entry(Scan *s, Header *h) {
  if (h->count == h->room) {
    long room = h->room ? 2 * h->room : 64;
    Entry *more = realloc(h->entries, (size_t)room * sizeof *more);
    if (!more) return fail("%s: expected memory for its header, found none left", s->name);
    h->entries = more;
    h->room = room;
  }
  Entry *e = &h->entries[h->count];
  *e = (Entry){.name = strdup((const char *)h->text.data)};
  if (!e->name) return fail("%s: expected memory for its header, found none left", s->name);
  h->count++;
  return scan_want(s, ':') && parse_entry(s, h, e);
}

static int parse_header(Scan *s, Header *h, Bundle *out) {
  if (!scan_want(s, '{')) return 0;
  if (!scan_is(s, '}')) {
    do {
      if (!scan_string(s, &h->text)) return 0;
      if (strcmp((const char *)h->text.data, "__metadata__") == 0) {
        if (!scan_want(s, ':') || !parse_metadata(s, h, out)) return 0;
      } else if (!add_entry(s, h)) {
        return 0;
      }
    } while (scan_is(s, ','));
    if (!scan_want(s, '}')) return 0;
  }
  scan_is(s, ' ');
  return s->at == s->end || fail("%s: expected the end of the header, found more", s->name);
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

static int by_begin(const void *a, const void *b) {
  const Entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

/* Names differ, every range has the size of its shape, and the ranges tile the `size` bytes of data. */
static int check(const char *path, Header *h, size_t size) {
  long at = 0;
  if (h->count) qsort(h->entries, (size_t)h->count, sizeof *h->entries, by_name);
  for (long i = 1; i < h->count; i++)
    if (by_name(&h->entries[i - 1], &h->entries[i]) == 0)
      return fail("%s: expected names that differ, found %.200s twice", path, h->entries[i].name);
  if (h->count) qsort(h->entries, (size_t)h->count, sizeof *h->entries, by_begin);
  for (long i = 0; i < h->count; i++) {
    const Entry *e = &h->entries[i];
    long bytes = (long)dtype_bytes[e->dtype];
    for (int d = 0; d < e->rank; d++)
      if (__builtin_mul_overflow(bytes, e->shape[d], &bytes))
        return fail("%s: %.200s: expected a shape that memory can hold, found %s", path, e->name,
                    shape_text(e->rank, e->shape));
    if (e->begin != at || e->end < e->begin || e->end - e->begin != bytes || (size_t)e->end > size)
      return fail("%s: %.200s: expected %ld bytes at %ld of %zu, found data_offsets [%ld, %ld]", path,
                  e->name, bytes, at, size, e->begin, e->end);
    at = e->end;
  }
  return (size_t)at == size || fail("%s: expected %ld bytes of data, found %zu", path, at, size);
}

/* How long the header is, if this is such a file. */
static int read_length(const Source *s, uint64_t *length) {
  unsigned char head[9] = {0};
  if (!source_read(s, 0, head, s->size < 9 ? s->size : 9)) return 0;
  memcpy(length, head, 8);
  if (head[8] != '{' || *length >> 40)
    return fail_kind(s, "safetensors"); /* longer ones are text, read as a number */
  return (*length <= HEADER_MAX && *length <= s->size - 8) ||
         fail("%s: expected a safetensors header within the file, found %llu bytes claimed", s->path,
              (unsigned long long)*length);
}

static int read_all(const Source *s, Header *h, Bytes *text, Bundle *out) {
  uint64_t length;
  if (!read_length(s, &length)) return 0;
  if (!(text->data = malloc(length + 1)))
    return fail("%s: expected memory for its header, found none left", s->path);
  if (!source_read(s, 8, text->data, length)) return 0;
  const char *begin = (const char *)text->data;
  Scan scan = {begin, begin + length, s->path};
  if (!parse_header(&scan, h, out) || !check(s->path, h, s->size - 8 - length)) return 0;
  for (long i = 0; i < h->count; i++) {
    const Entry *e = &h->entries[i];
    Tensor *t = tensor_new(e->dtype, e->rank, e->shape);
    if (!bundle_add(out, e->name, strlen(e->name), t) ||
        !source_read(s, 8 + length + (size_t)e->begin, tensor_write(t), tensor_bytes(t)))
      return 0;
  }
  return 1;
}

int safetensors_read(const char *path, Bundle *out) {
  *out = (Bundle){0};
  Source s;
  Header h = {0};
  Bytes text = {0};
  if (!source_open(&s, path)) return 0;
  int ok = read_all(&s, &h, &text, out);
  bytes_free(&text);
  header_free(&h);
  source_close(&s);
  if (!ok) bundle_free(out);
  return ok;
}

/* ---- writing ---- */

static int add_text(Bytes *b, const char *text) { return bytes_add(b, text, strlen(text)); }

/* text as a JSON string */
static int add_quoted(Bytes *b, const char *text) {
  int ok = add_text(b, "\"");
  for (; ok && *text; text++) {
    char escaped[8];
    if (*text == '"' || *text == '\\')
      snprintf(escaped, sizeof escaped, "\\%c", *text);
    else if ((unsigned char)*text < 0x20)
      snprintf(escaped, sizeof escaped, "\\u%04x", *text);
    else
      snprintf(escaped, sizeof escaped, "%c", *text);
    ok = add_text(b, escaped);
  }
  return ok && add_text(b, "\"");
}

static int add_row(Bytes *b, const Named *item, size_t *offset) {
  const Tensor *t = item->tensor;
  char text[64];
  if (!add_quoted(b, item->name) || !add_text(b, ":{\"dtype\":\"") || !add_text(b, names[t->dtype]) ||
      !add_text(b, "\",\"shape\":["))
    return 0;
  for (int d = 0; d < t->rank; d++) {
    snprintf(text, sizeof text, "%s%ld", d ? "," : "", t->shape[d]);
    if (!add_text(b, text)) return 0;
  }
  snprintf(text, sizeof text, "],\"data_offsets\":[%zu,%zu]}", *offset, *offset + tensor_bytes(t));
  *offset += tensor_bytes(t);
  return add_text(b, text);
}

/* "__metadata__":{…}, if there is any */
static int add_metadata(Bytes *b, const Note *notes, long count) {
  int ok = count == 0 || add_text(b, "\"__metadata__\":{");
  for (long i = 0; ok && i < count; i++)
    ok = add_text(b, i ? "," : "") && add_quoted(b, notes[i].key) && add_text(b, ":") &&
         add_quoted(b, notes[i].value);
  return ok && (count == 0 || add_text(b, "}"));
}

static int compose(Bytes *b, const Bundle *in, const Named *order, const Note *notes) {
  size_t offset = 0;
  int ok = add_text(b, "{") && add_metadata(b, notes, in->notes_count) &&
           add_text(b, in->notes_count && in->count ? "," : "");
  for (long i = 0; ok && i < in->count; i++) ok = add_text(b, i ? "," : "") && add_row(b, &order[i], &offset);
  ok = ok && add_text(b, "}");
  while (ok && b->size % 8) ok = add_text(b, " ");
  return ok;
}

static int by_width(const void *a, const void *b) {
  const Named *x = a, *y = b;
  size_t wx = dtype_bytes[x->tensor->dtype], wy = dtype_bytes[y->tensor->dtype];
  return wx != wy ? (wx > wy ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const Note *)a)->key, ((const Note *)b)->key);
}

/* A sorted copy of a list; the elements stay the list's. */
static void *sorted(const void *list, long count, size_t size, int (*order)(const void *, const void *)) {
  void *copy = malloc((size_t)count * size + 1);
  if (copy && count) {
    memcpy(copy, list, (size_t)count * size);
    qsort(copy, (size_t)count, size, order);
  }
  return copy;
}

static int write_all(const char *path, const Bytes *header, const Bundle *in, const Named *order) {
  Sink s;
  uint64_t length = header->size;
  if (!sink_open(&s, path)) return 0;
  int ok = sink_write(&s, &length, 8) && sink_write(&s, header->data, header->size);
  for (long i = 0; ok && i < in->count; i++)
    ok = sink_write(&s, tensor_data(order[i].tensor), tensor_bytes(order[i].tensor));
  if (ok) return sink_commit(&s);
  sink_abort(&s);
  return 0;
}

int safetensors_write(const char *path, const Bundle *in) {
  Named *order = sorted(in->items, in->count, sizeof *order, by_width);
  Note *notes = sorted(in->notes, in->notes_count, sizeof *notes, by_key);
  Bytes header = {0};
  int ok = order && notes ? compose(&header, in, order, notes)
                          : fail("%s: expected memory for its header, found none left", path);
  if (ok && header.size > HEADER_MAX) ok = fail("%s: expected a header of at most 100 MB, found more", path);
  ok = ok && write_all(path, &header, in, order);
  bytes_free(&header);
  free(notes);
  free(order);
  return ok;
}
