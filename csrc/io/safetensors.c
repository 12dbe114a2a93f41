/* safetensors (format of huggingface/safetensors 0.4): 8 bytes of header length, a JSON header, the data.
 * The header is hostile until checked: offsets must tile the data exactly,
 * sizes must agree with the shapes. */
#include "io/array.h"

#include "core/error.h"
#include "io/json.h"
#include "io/kind.h"

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
  Bytes text;    /* what was read last, terminated */
  bool metadata; /* has been read */
} Header;

static void header_free(Header *h) {
  for (long i = 0; i < h->count; i++) free(h->entries[i].name);
  free(h->entries);
  bytes_free(&h->text);
}

/* The next piece of the header, which must be this one. */
static int want(Json *j, JsonPiece piece, const char *expected) {
  JsonPiece next = json_next(j);
  return next == piece || (next && json_refuse(j, expected));
}

/* The text or key that was read last, as C has it. */
static const char *text_of(Json *j, Header *h) {
  h->text.size = 0;
  if (!bytes_add(&h->text, j->token + 1, j->size) || !bytes_add(&h->text, "", 1)) return NULL;
  char *text = (char *)h->text.data;
  size_t size = json_text(j, text);
  text[size] = 0;
  if (strlen(text) == size) return text;
  json_refuse(j, "text without zero bytes in the header");
  return NULL;
}

/* "[1, 2]" into list, at most `room` numbers. */
static int parse_list(Json *j, long *list, int room, int *count) {
  JsonPiece piece;
  if (!want(j, JSON_LIST, "a list in the header")) return 0;
  for (*count = 0; (piece = json_next(j)) == JSON_NUMBER; ++*count) {
    if (*count == room) return fail("%s: expected lists of at most %d numbers, found more", j->name, room);
    if (!json_whole(j, &list[*count]))
      return json_refuse(j, json_number(j) < 1e18 ? "a whole number in the header"
                                                  : "a number below 2^62 in the header");
  }
  return piece == JSON_CLOSE || (piece && json_refuse(j, "a whole number in the header"));
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
static int parse_entry(Json *j, Header *h, Entry *e) {
  int seen = 0, two;
  long offsets[2];
  JsonPiece piece;
  if (!want(j, JSON_OBJECT, "an object for each tensor in the header")) return 0;
  while ((piece = json_next(j)) == JSON_KEY) {
    const char *text = text_of(j, h);
    if (!text) return 0;
    int field = strcmp(text, "dtype") == 0          ? 1
                : strcmp(text, "shape") == 0        ? 2
                : strcmp(text, "data_offsets") == 0 ? 4
                                                    : 0;
    if (!field || (seen & field))
      return fail("%s: %.100s: expected dtype, shape and data_offsets once each, found %.40s", j->name,
                  e->name, text);
    seen |= field;
    if (field == 1 && (!want(j, JSON_TEXT, "a dtype in the header") || !(text = text_of(j, h)) ||
                       !parse_dtype(text, e, j->name)))
      return 0;
    if (field == 2 && !parse_list(j, e->shape, RANK_MAX, &e->rank)) return 0;
    if (field == 4 && (!parse_list(j, offsets, 2, &two) || two != 2))
      return fail("%s: %.100s: expected two data_offsets", j->name, e->name);
  }
  if (piece != JSON_CLOSE) return 0;
  if (seen != 7)
    return fail("%s: %.100s: expected dtype, shape and data_offsets, found fewer", j->name, e->name);
  e->begin = offsets[0];
  e->end = offsets[1];
  return 1;
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const Note *)a)->key, ((const Note *)b)->key);
}

/* {"key":"value", …} of texts, sorted by their keys */
static int parse_metadata(Json *j, Header *h, Bundle *out) {
  JsonPiece piece;
  if (!want(j, JSON_OBJECT, "metadata of texts in the header")) return 0;
  while ((piece = json_next(j)) == JSON_KEY) {
    const char *text = text_of(j, h);
    char *key = text ? strdup(text) : NULL;
    if (text && !key) fail("%s: expected memory for its metadata, found none left", j->name);
    int ok = key && want(j, JSON_TEXT, "metadata of texts in the header") && (text = text_of(j, h)) &&
             bundle_note(out, key, text);
    free(key);
    if (!ok) return 0;
  }
  if (piece == JSON_CLOSE && out->notes_count)
    qsort(out->notes, (size_t)out->notes_count, sizeof *out->notes, by_key);
  for (long i = 1; piece == JSON_CLOSE && i < out->notes_count; i++)
    if (by_key(&out->notes[i - 1], &out->notes[i]) == 0)
      return fail("%s: expected metadata of keys that differ, found %.200s twice", j->name,
                  out->notes[i].key);
  return piece == JSON_CLOSE;
}

static int parse_named(Json *j, Header *h) {
  if (h->count == h->room) {
    long room = h->room ? 2 * h->room : 64;
    Entry *more = realloc(h->entries, (size_t)room * sizeof *more);
    if (!more) return fail("%s: expected memory for its header, found none left", j->name);
    h->entries = more;
    h->room = room;
  }
  Entry *e = &h->entries[h->count];
  *e = (Entry){.name = strdup((const char *)h->text.data)};
  if (!e->name) return fail("%s: expected memory for its header, found none left", j->name);
  h->count++;
  return parse_entry(j, h, e);
}

static int parse_header(Json *j, Header *h, Bundle *out) {
  JsonPiece piece;
  if (!want(j, JSON_OBJECT, "an object as the header")) return 0;
  while ((piece = json_next(j)) == JSON_KEY) {
    const char *text = text_of(j, h);
    bool metadata = text && strcmp(text, "__metadata__") == 0;
    if (metadata && h->metadata)
      return fail("%s: expected names that differ, found __metadata__ twice", j->name);
    h->metadata |= metadata;
    if (!text || !(metadata ? parse_metadata(j, h, out) : parse_named(j, h))) return 0;
  }
  return piece == JSON_CLOSE && json_next(j) == JSON_END;
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
  text->data[length] = 0;
  Json json;
  if (!source_read(s, 8, text->data, length) ||
      !json_begin(&json, s->path, "a header of JSON", (const char *)text->data, length) ||
      !parse_header(&json, h, out) || !check(s->path, h, s->size - 8 - length))
    return 0;
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

static int add_row(JsonWriter *w, const Named *item, long *offset) {
  const Tensor *t = item->tensor;
  long begin = *offset;
  *offset += (long)tensor_bytes(t);
  int ok = json_add_key(w, item->name) && json_open(w, '{') && json_add_key(w, "dtype") &&
           json_add_text(w, names[t->dtype]) && json_add_key(w, "shape") && json_open(w, '[');
  for (int d = 0; d < t->rank; d++) ok = ok && json_add_whole(w, t->shape[d]);
  return ok && json_close(w, ']') && json_add_key(w, "data_offsets") && json_open(w, '[') &&
         json_add_whole(w, begin) && json_add_whole(w, *offset) && json_close(w, ']') && json_close(w, '}');
}

/* "__metadata__":{…}, if there is any */
static int add_metadata(JsonWriter *w, const Note *notes, long count) {
  if (!count) return 1;
  int ok = json_add_key(w, "__metadata__") && json_open(w, '{');
  for (long i = 0; ok && i < count; i++)
    ok = json_add_key(w, notes[i].key) && json_add_text(w, notes[i].value);
  return ok && json_close(w, '}');
}

/* Padded with blanks, so that the data after it are aligned. */
static int compose(Bytes *out, const Bundle *in, const Named *order, const Note *notes) {
  JsonWriter w = {.plain = true};
  long offset = 0;
  int ok = json_open(&w, '{') && add_metadata(&w, notes, in->notes_count);
  for (long i = 0; ok && i < in->count; i++) ok = add_row(&w, &order[i], &offset);
  ok = ok && json_close(&w, '}');
  while (ok && w.text.size % 8) ok = bytes_add(&w.text, " ", 1);
  *out = w.text;
  return ok;
}

static int by_width(const void *a, const void *b) {
  const Named *x = a, *y = b;
  size_t wx = dtype_bytes[x->tensor->dtype], wy = dtype_bytes[y->tensor->dtype];
  return wx != wy ? (wx > wy ? -1 : 1) : strcmp(x->name, y->name);
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
