/* JSON in and out, strictly (RFC 8259), for documents and for the headers of files.
 *
 * Reading goes piece by piece: json_begin, then json_next until JSON_END. Nothing is copied, no memory is
 * taken: what a text or a number holds is asked for while its piece is the last one. What keys mean, and that
 * none stands twice in an object, is the caller's to see.
 *
 * Writing appends to a block of bytes and puts the commas. */
#ifndef IO_JSON_H
#define IO_JSON_H

#include "io/file.h"

#include <stdbool.h>

enum { JSON_DEPTH = 64 }; /* of lists and objects within each other */
/* Bytes that have an escape of one letter, and those letters. */
#define JSON_ESCAPED "\"\\/\b\f\n\r\t"
#define JSON_LETTERS "\"\\/bfnrt"

/* ---- reading ---- */

typedef enum JsonPiece {
  JSON_WRONG, /* no JSON: there is a message */
  JSON_NULL,
  JSON_FALSE,
  JSON_TRUE,
  JSON_NUMBER,
  JSON_TEXT,
  JSON_KEY,    /* of a member of an object; its value follows */
  JSON_LIST,   /* begins */
  JSON_OBJECT, /* begins */
  JSON_CLOSE,  /* a list or an object ends */
  JSON_END     /* of the whole */
} JsonPiece;

typedef struct Json {
  const char *name, *what; /* for messages: "name: expected what, found …" */
  const char *begin, *end; /* all of it; borrowed */
  const char *at;          /* what is read next */
  const char *token;       /* where the last piece began, and how many bytes it takes */
  size_t size;
  bool escaped;     /* the last text or key holds escapes */
  bool fresh, done; /* whether a list or object has just begun; whether a value has just ended */
  int depth;
  uint64_t objects; /* of the lists and objects around, outermost first, which are objects: a bit each */
} Json;

/* text[size] is 0. A byte order mark of UTF-8 is skipped. 0 with a message where it is no JSON at all:
 * nothing, UTF-16, with zero bytes. */
int json_begin(Json *j, const char *name, const char *what, const char *text, size_t size);
JsonPiece json_next(Json *j);

/* Of a text or key: how many bytes it has, copied to `to`, which has room for j->size: its escapes are
 * resolved, other bytes are taken as they are. */
size_t json_text(const Json *j, char *to);
/* Of a number: the nearest double, an infinity beyond the largest. */
double json_number(const Json *j);
/* Of a number: 1 when it is written as a whole number of 0 to 2^62 - 5. */
int json_whole(const Json *j, long *value);

/* A message: expected this, found the last piece, at its line and column. Returns 0. */
int json_refuse(const Json *j, const char *expected);
/* The same for a key that its object had before; `token` and `size` are those of the key. */
int json_twice(const Json *j, const char *token, size_t size);

/* ---- writing ---- */

typedef struct JsonWriter {
  Bytes text;                /* free with bytes_free */
  const char *comma, *colon; /* what stands between; NULL: no blanks */
  bool more;                 /* a value stands before: the next one needs a comma */
  bool plain;                /* escapes only what must be, as others who write safetensors do */
} JsonWriter;

/* All of them return 0 with a message when memory is short. */
int json_open(JsonWriter *w, char bracket);
int json_close(JsonWriter *w, char bracket);
int json_add_key(JsonWriter *w, const char *key);
int json_add_text(JsonWriter *w, const char *text);
int json_add_key_bytes(JsonWriter *w, const char *key, size_t size); /* any bytes, zeros too */
int json_add_text_bytes(JsonWriter *w, const char *text, size_t size);
int json_add_word(JsonWriter *w, const char *word); /* null, true, false, or a number as a text */
int json_add_whole(JsonWriter *w, long value);
int json_add_fixed(JsonWriter *w, double value, int decimals);

/* A finite number as documents have it: 14 digits. */
enum { JSON_NUMBER_ROOM = 32 };
void json_number_text(double value, char room[JSON_NUMBER_ROOM]);

#endif
