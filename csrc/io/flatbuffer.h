/* FlatBuffers, read in place (flatbuffers.dev, "Internals"): tables whose fields may be absent, vectors and
 * strings, all reached by offsets that are checked before they are followed. What the fields mean is the
 * caller's to know. Nothing is copied; a failure is kept, so that a caller may look once, at the end.
 *
 *   table ── int32: how far its vtable lies before it        vtable ── bytes of the vtable, of the table
 *     fields …                                                          a place in the table for each field, 0: absent
 */
#ifndef IO_FLATBUFFER_H
#define IO_FLATBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Flat {
  const char *name; /* for messages */
  const unsigned char *data;
  size_t size;
  size_t budget; /* bytes that what is made of it may still take: offsets may lead to one place many times */
  bool failed;   /* there is a message */
} Flat;

typedef struct FlatTable {
  size_t at; /* 0: absent */
  size_t fields, size, vtable;
} FlatTable;

typedef struct FlatVector {
  size_t at; /* of the first element */
  size_t count;
} FlatVector;

/* Leaves "NAME: expected EXPECTED, found FOUND"; returns 0. */
int flat_refuse(Flat *f, const char *expected, const char *found);
/* Takes from the budget, or refuses. */
int flat_spend(Flat *f, size_t bytes);

FlatTable flat_root(Flat *f);
/* Field number `field` of a table: a number of so many bytes (1, 2, 4 or 8; sign-extended), `otherwise` where
 * it is absent. */
int64_t flat_number(Flat *f, const FlatTable *t, int field, int bytes, int64_t otherwise);
double flat_real(Flat *f, const FlatTable *t, int field, double otherwise); /* a float32 */
FlatTable flat_table(Flat *f, const FlatTable *t, int field);
/* A vector whose elements take so many bytes (a string: 1); empty where it is absent. */
FlatVector flat_vector(Flat *f, const FlatTable *t, int field, size_t bytes);
/* Element i of a vector of tables, or of int32. */
FlatTable flat_table_at(Flat *f, const FlatVector *v, size_t i);
int32_t flat_int_at(const Flat *f, const FlatVector *v, size_t i);

#endif
