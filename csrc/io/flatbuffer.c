/* FlatBuffers: see flatbuffer.h. All numbers are little-endian, as this machine's are. */
#include "io/flatbuffer.h"

#include "core/error.h"

#include <string.h>

int flat_refuse(Flat *f, const char *expected, const char *found) {
  if (!f->failed) fail("%s: expected %s, found %s", f->name, expected, found);
  f->failed = true;
  return 0;
}

int flat_spend(Flat *f, size_t bytes) {
  if (bytes > f->budget) return flat_refuse(f, "lists and numbers of about the size of the file", "more");
  f->budget -= bytes;
  return 1;
}

/* Whether `bytes` at a place are within the buffer; else the whole is damaged. */
static bool within(Flat *f, size_t at, size_t bytes) {
  if (!f->failed && at <= f->size && bytes <= f->size - at) return true;
  flat_refuse(f, "offsets within the file", "one beyond its end (truncated?)");
  return false;
}

static uint64_t number_at(const Flat *f, size_t at, int bytes) {
  uint64_t value = 0;
  memcpy(&value, f->data + at, (size_t)bytes);
  return value;
}

/* Where the offset that lies at `at` leads to. */
static size_t follow(Flat *f, size_t at) {
  if (!within(f, at, 4)) return 0;
  size_t to = at + number_at(f, at, 4);
  return within(f, to, 4) ? to : 0;
}

/* The table at a place: its vtable may lie before it or behind. */
static FlatTable table_at(Flat *f, size_t at) {
  FlatTable t = {0};
  if (at == 0 || !within(f, at, 4)) return t;
  int64_t vtable = (int64_t)at - (int32_t)number_at(f, at, 4);
  if (vtable < 0 || !within(f, (size_t)vtable, 4)) {
    flat_refuse(f, "offsets within the file", "one before its begin");
    return t;
  }
  size_t bytes = number_at(f, (size_t)vtable, 2), size = number_at(f, (size_t)vtable + 2, 2);
  if (bytes < 4 || size < 4 || !within(f, (size_t)vtable, bytes) || !within(f, at, size)) {
    flat_refuse(f, "tables within the file", "one beyond its end (truncated?)");
    return t;
  }
  return (FlatTable){.at = at, .fields = (bytes - 4) / 2, .size = size, .vtable = (size_t)vtable};
}

/* Where a field of so many bytes lies; 0: absent. */
static size_t place(Flat *f, const FlatTable *t, int field, size_t bytes) {
  if (!t->at || (size_t)field >= t->fields) return 0;
  size_t in = number_at(f, t->vtable + 4 + 2 * (size_t)field, 2);
  if (in == 0) return 0;
  if (in >= 4 && in <= t->size && bytes <= t->size - in) return t->at + in;
  flat_refuse(f, "fields within their tables", "one outside");
  return 0;
}

FlatTable flat_root(Flat *f) { return table_at(f, follow(f, 0)); }

int64_t flat_number(Flat *f, const FlatTable *t, int field, int bytes, int64_t otherwise) {
  size_t at = place(f, t, field, (size_t)bytes);
  if (!at) return otherwise;
  int unused = 64 - 8 * bytes;
  return (int64_t)(number_at(f, at, bytes) << unused) >> unused;
}

double flat_real(Flat *f, const FlatTable *t, int field, double otherwise) {
  size_t at = place(f, t, field, 4);
  float value;
  if (!at) return otherwise;
  memcpy(&value, f->data + at, 4);
  return (double)value;
}

FlatTable flat_table(Flat *f, const FlatTable *t, int field) {
  size_t at = place(f, t, field, 4);
  return at ? table_at(f, follow(f, at)) : (FlatTable){0};
}

FlatVector flat_vector(Flat *f, const FlatTable *t, int field, size_t bytes) {
  size_t at = place(f, t, field, 4), to = at ? follow(f, at) : 0;
  if (!to) return (FlatVector){0};
  size_t count = number_at(f, to, 4);
  if (!within(f, to + 4, count * bytes)) return (FlatVector){0};
  return (FlatVector){to + 4, count};
}

FlatTable flat_table_at(Flat *f, const FlatVector *v, size_t i) {
  return table_at(f, follow(f, v->at + 4 * i));
}

int32_t flat_int_at(const Flat *f, const FlatVector *v, size_t i) {
  return (int32_t)number_at(f, v->at + 4 * i, 4);
}
