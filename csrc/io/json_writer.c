/* The writing half of json.h. */
#include "io/json.h"

#include <stdio.h>
#include <string.h>

static int add(JsonWriter *w, const char *text) { return bytes_add(&w->text, text, strlen(text)); }

/* A comma, where one is due before what comes next. */
static int separate(JsonWriter *w) {
  bool more = w->more;
  w->more = true;
  return !more || add(w, w->comma ? w->comma : ",");
}

int json_open(JsonWriter *w, char bracket) {
  int ok = separate(w) && bytes_add(&w->text, &bracket, 1);
  w->more = false;
  return ok;
}

int json_close(JsonWriter *w, char bracket) {
  w->more = true;
  return bytes_add(&w->text, &bracket, 1);
}

/* A byte as texts hold it, in `room`; NULL: as it is. */
static const char *escape(unsigned char c, bool plain, char room[8]) {
  static const char bytes[] = JSON_ESCAPED, letters[] = JSON_LETTERS;
  const char *byte = c ? strchr(bytes, c) : NULL;
  if (byte && (!plain || byte < bytes + 2)) /* plain: the quote and the backslash, which must be */
    snprintf(room, 8, "\\%c", letters[byte - bytes]);
  else if (c < ' ' || (c == 0x7F && !plain))
    snprintf(room, 8, "\\u%04x", c);
  else
    return NULL;
  return room;
}

static int quote(JsonWriter *w, const char *text, size_t size) {
  char room[8];
  int ok = add(w, "\"");
  for (const char *end = text + size; text < end && ok;) {
    const char *run = text, *escaped = NULL;
    while (text < end && !(escaped = escape((unsigned char)*text, w->plain, room))) text++;
    ok = bytes_add(&w->text, run, (size_t)(text - run)) && (!escaped || add(w, escaped));
    text += escaped != NULL;
  }
  return ok && add(w, "\"");
}

int json_add_text_bytes(JsonWriter *w, const char *text, size_t size) {
  return separate(w) && quote(w, text, size);
}

int json_add_key_bytes(JsonWriter *w, const char *key, size_t size) {
  int ok = json_add_text_bytes(w, key, size) && add(w, w->colon ? w->colon : ":");
  w->more = false;
  return ok;
}

int json_add_text(JsonWriter *w, const char *text) { return json_add_text_bytes(w, text, strlen(text)); }
int json_add_key(JsonWriter *w, const char *key) { return json_add_key_bytes(w, key, strlen(key)); }

int json_add_word(JsonWriter *w, const char *word) { return separate(w) && add(w, word); }

int json_add_whole(JsonWriter *w, long value) {
  char room[JSON_NUMBER_ROOM];
  snprintf(room, sizeof room, "%ld", value);
  return json_add_word(w, room);
}

/* A number as snprintf writes it, with a point whatever the locale has in its place. */
static void with_point(char *number) {
  static const char known[] = "0123456789+-e";
  char *point = number + strspn(number, known);
  size_t size = strcspn(point, known);
  if (!size) return;
  memmove(point + 1, point + size, strlen(point + size) + 1);
  *point = '.';
}

int json_add_fixed(JsonWriter *w, double value, int decimals) {
  char room[352]; /* the largest double has 309 digits before the point */
  snprintf(room, sizeof room, "%.*f", decimals, value);
  with_point(room);
  return json_add_word(w, room);
}

void json_number_text(double value, char room[JSON_NUMBER_ROOM]) {
  snprintf(room, JSON_NUMBER_ROOM, "%.14g", value);
  with_point(room);
}
