/* The reading half of json.h. A document costs one pass; its numbers a second one. */
#include "io/json.h"

#include "core/error.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_inner(char c) {
  return ((unsigned char)c & 0xC0) == 0x80;
} /* not the first byte of a character */

/* ---- what is wrong, and where ---- */

enum { TOKEN = 40, QUOTED = 12, KEY = 200 };

/* What stands at `at`, for a message: a word or number as it is, else the next few bytes in quotes. */
static const char *shown(const Json *j, const char *at, char room[TOKEN + 3]) {
  const char *first = at + (*at == '-' || *at == '+'), *to = first;
  while (*to == '.' || *to == '_' || is_digit(*to) || (*to >= 'a' && *to <= 'z') ||
         (*to >= 'A' && *to <= 'Z'))
    to++;
  bool word = to > first && to - at <= TOKEN;
  if (!word) {
    to = j->end - at > QUOTED ? at + QUOTED : j->end;
    while (to > at && is_inner(*to)) to--;
  }
  snprintf(room, TOKEN + 3, word ? "%.*s" : "\"%.*s\"", (int)(to - at), at);
  return room;
}

static int refuse_at(const Json *j, const char *expected, const char *found, const char *at) {
  char room[TOKEN + 3];
  long line = 1, column = 1;
  for (const char *c = j->begin; c < at; c++) {
    column = *c == '\n' ? 1 : column + !is_inner(*c);
    line += *c == '\n';
  }
  return fail("%s: expected %s, found %s at line %ld, column %ld", j->name, expected,
              found ? found : shown(j, at, room), line, column);
}

int json_refuse(const Json *j, const char *expected) { return refuse_at(j, expected, NULL, j->token); }

int json_twice(const Json *j, const char *token, size_t size) {
  char found[KEY + 64];
  int n = size > KEY ? KEY : (int)size;
  while (size > KEY && n > 0 && is_inner(token[1 + n])) n--;
  snprintf(found, sizeof found, "the key \"%.*s%s\" twice in an object", n, token + 1, size > KEY ? "…" : "");
  return refuse_at(j, j->what, found, token);
}

/* What stands at `at` is none of what may stand there. */
static JsonPiece wrong(Json *j, const char *at, const char *found) {
  if (at == j->end && !found) found = "the end of the text (cut short?)";
  refuse_at(j, j->what, found, at);
  return JSON_WRONG;
}

int json_begin(Json *j, const char *name, const char *what, const char *text, size_t size) {
  *j = (Json){.name = name, .what = what, .begin = text, .end = text + size};
  const char *bracket = text + (size > 2 && !*text);
  if ((size > 1 && (!memcmp(text, "\xFF\xFE", 2) || !memcmp(text, "\xFE\xFF", 2))) ||
      (size > 1 && (*bracket == '[' || *bracket == '{') && bracket + 1 < j->end && !bracket[1]))
    return fail("%s: expected %s in UTF-8, found UTF-16", name, what);
  if (size > 2 && !memcmp(text, "\xEF\xBB\xBF", 3)) j->begin += 3;
  j->at = j->begin + strspn(j->begin, " \n\r\t\v\f");
  if (j->at == j->end) return fail("%s: expected %s, found nothing", name, what);
  const char *zero = memchr(j->begin, 0, (size_t)(j->end - j->begin));
  if (zero) return refuse_at(j, what, "a zero byte", zero);
  j->at = j->begin;
  return 1;
}

/* ---- texts ---- */

static int hex(char c) {
  return is_digit(c)            ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* The four digits of \uXXXX, or -1; ends before a zero byte. */
static int unit(const char *at) {
  int value = 0;
  if (at[0] != '\\' || at[1] != 'u') return -1;
  for (int i = 2; i < 6; i++) {
    int digit = hex(at[i]);
    if (digit < 0) return -1;
    value = 16 * value + digit;
  }
  return value;
}

/* The code point of an escape and, in *size, its bytes; -1: it is none. */
static long escape(const char *at, int *size) {
  static const char letters[] = JSON_LETTERS, bytes[] = JSON_ESCAPED;
  const char *letter = at[1] ? strchr(letters, at[1]) : NULL;
  *size = 2;
  if (letter) return bytes[letter - letters];
  int high = unit(at), low;
  *size = 6;
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (high >= 0xDC00 || (low = unit(at + 6)) < 0xDC00 || low > 0xDFFF) return -1;
  *size = 12;
  return 0x10000 + ((high - 0xD800L) << 10) + (low - 0xDC00);
}

/* From the quote at j->at on. */
static int read_text(Json *j) {
  const char *c = j->at + 1;
  j->token = j->at;
  for (j->escaped = false; *c != '"';) {
    int size = 1;
    if (*c == '\\') {
      if (escape(c, &size) < 0) return wrong(j, c, "an escape that is none");
      j->escaped = true;
    } else if (c == j->end) {
      return wrong(j, c, "a string without an end (cut short?)");
    } else if ((unsigned char)*c < ' ') {
      return wrong(j, c, "a control character in a string");
    }
    c += size;
  }
  j->size = (size_t)(c - j->token - 1);
  j->at = c + 1;
  return 1;
}

size_t json_text(const Json *j, char *to) {
  const char *from = j->token + 1, *end = from + j->size;
  char *out = to;
  if (!j->escaped) {
    memcpy(to, from, j->size);
    return j->size;
  }
  while (from < end) {
    if (*from != '\\') {
      *out++ = *from++;
      continue;
    }
    int size;
    unsigned long code = (unsigned long)escape(from, &size);
    from += size;
    if (code < 0x80) {
      *out++ = (char)code;
      continue;
    }
    int inner = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *out++ = (char)((0xF00 >> (inner + 1) & 0xF0) | code >> 6 * inner);
    while (inner--) *out++ = (char)(0x80 | (code >> 6 * inner & 0x3F));
  }
  return (size_t)(out - to);
}

/* ---- numbers ---- */

static const char *digits(const char *c) {
  while (is_digit(*c)) c++;
  return c;
}

static JsonPiece read_number(Json *j) {
  const char *first = j->at + (*j->at == '-'), *c = digits(first);
  if (c == first || (*first == '0' && (c > first + 1 || *c == 'x' || *c == 'X')))
    return wrong(j, j->at, NULL);
  if (*c == '.') {
    if (!is_digit(c[1])) return wrong(j, c + 1, NULL);
    c = digits(c + 1);
  }
  if (*c == 'e' || *c == 'E') {
    const char *power = c + 1 + (c[1] == '-' || c[1] == '+');
    if (is_digit(*power)) c = digits(power);
  }
  j->token = j->at;
  j->size = (size_t)(c - j->at);
  j->at = c;
  return JSON_NUMBER;
}

/* Up to 2^53 times or over a power of ten that is a double, too: then one rounding is all there is. */
double json_number(const Json *j) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const char *c = j->token, *end = c + j->size;
  bool negative = *c == '-';
  uint64_t value = 0;
  long power = 0, fraction = 0;
  if (j->size <= 19) { /* what has so few digits fits */
    for (c += negative; c < end && (is_digit(*c) || *c == '.'); c++) {
      power -= fraction;
      if (*c == '.')
        fraction = 1;
      else
        value = 10 * value + (uint64_t)(*c - '0');
    }
    if (c < end) power += strtol(c + 1, NULL, 10);
    if (value <= 1ULL << 53 && power >= -22 && power <= 22) {
      double number = power < 0 ? (double)value / powers[-power] : (double)value * powers[power];
      return negative ? -number : number;
    }
  }
  return strtod_l(j->token, NULL, newlocale(LC_ALL_MASK, "C", NULL)); /* glibc has that one without memory */
}

int json_whole(const Json *j, long *value) {
  const char *c = j->token, *end = c + j->size;
  for (*value = 0; c < end; c++) {
    if (!is_digit(*c) || *value > (1L << 62) / 10 - 1) return 0;
    *value = *value * 10 + (*c - '0');
  }
  return 1;
}

/* ---- pieces ---- */

static JsonPiece begin(Json *j, bool object) {
  if (j->depth == JSON_DEPTH) return wrong(j, j->at, "more than 64 levels");
  j->objects = (j->objects & ~(1ULL << j->depth)) | (uint64_t)object << j->depth;
  j->depth++;
  j->at++;
  j->fresh = true;
  return object ? JSON_OBJECT : JSON_LIST;
}

static JsonPiece word(Json *j, const char *text, JsonPiece piece) {
  size_t size = strlen(text);
  if (strncmp(j->at, text, size)) return wrong(j, j->at, NULL);
  j->at += size;
  return piece;
}

static void skip(Json *j) {
  while (is_blank(*j->at)) j->at++;
  j->token = j->at;
}

static JsonPiece read_key(Json *j) {
  if (*j->at != '"') return wrong(j, j->at, NULL);
  if (!read_text(j)) return JSON_WRONG;
  const char *key = j->token;
  skip(j);
  if (*j->at != ':') return wrong(j, j->at, NULL);
  j->at++;
  j->token = key;
  return JSON_KEY;
}

static JsonPiece read_value(Json *j) {
  switch (*j->at) {
  case '[': return begin(j, false);
  case '{': return begin(j, true);
  case '"': return read_text(j) ? JSON_TEXT : JSON_WRONG;
  case 't': return word(j, "true", JSON_TRUE);
  case 'f': return word(j, "false", JSON_FALSE);
  case 'n': return word(j, "null", JSON_NULL);
  case '-': return read_number(j);
  default: return is_digit(*j->at) ? read_number(j) : wrong(j, j->at, NULL);
  }
}

JsonPiece json_next(Json *j) {
  if (interrupted) return fail("interrupted"), JSON_WRONG;
  skip(j);
  if (j->done && !j->depth) return j->at == j->end ? JSON_END : wrong(j, j->at, NULL);
  bool object = j->depth && j->objects >> (j->depth - 1) & 1;
  JsonPiece piece = JSON_NULL;
  if ((j->done || j->fresh) && *j->at == (object ? '}' : ']')) {
    j->at++;
    j->depth--;
    piece = JSON_CLOSE;
  } else if (j->done) {
    if (*j->at != ',') return wrong(j, j->at, NULL);
    j->at++;
    skip(j);
  }
  bool key = object && (j->done || j->fresh);
  j->fresh = false;
  if (piece != JSON_CLOSE) piece = key ? read_key(j) : read_value(j);
  j->done = piece != JSON_KEY && piece != JSON_LIST && piece != JSON_OBJECT;
  return piece;
}
