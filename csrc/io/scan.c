/* JSON's strings and whole numbers (RFC 8259), strictly: see scan.h. */
#include "io/scan.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

static int bad(const Scan *s, const char *wanted) {
  if (s->at == s->end) return fail("%s: expected %s in the header, found its end", s->name, wanted);
  return fail("%s: expected %s in the header, found byte 0x%02x", s->name, wanted, (unsigned char)*s->at);
}

int scan_is(Scan *s, char c) {
  while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at) s->at++;
  if (s->at == s->end || *s->at != c) return 0;
  s->at++;
  return 1;
}

int scan_want(Scan *s, char c) { return scan_is(s, c) || bad(s, (char[]){'\'', c, '\'', 0}); }

/* Four hexadecimal digits. */
static int scan_hex(Scan *s, unsigned *out) {
  *out = 0;
  for (int i = 0; i < 4; i++, s->at++) {
    const char *digits = "0123456789abcdef", *found = NULL;
    if (s->at < s->end && *s->at)
      found = strchr(digits, *s->at >= 'A' && *s->at <= 'F' ? *s->at + 32 : *s->at);
    if (!found) return bad(s, "four hexadecimal digits");
    *out = *out * 16 + (unsigned)(found - digits);
  }
  return 1;
}

/* After \u: one code point, of a surrogate pair where there is one, as UTF-8. */
static int scan_unicode(Scan *s, Bytes *out) {
  unsigned c, low;
  if (!scan_hex(s, &c)) return 0;
  if (c >= 0xD800 && c < 0xE000) {
    if (c >= 0xDC00 || s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
      return bad(s, "the second half of a surrogate pair");
    s->at += 2;
    if (!scan_hex(s, &low)) return 0;
    if (low < 0xDC00 || low >= 0xE000) return bad(s, "the second half of a surrogate pair");
    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
  }
  if (c == 0) return bad(s, "text without zero bytes");
  unsigned char utf8[4];
  size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--, c >>= 6) utf8[i] = (unsigned char)(0x80 | (c & 0x3F));
  utf8[0] = (unsigned char)(n == 1 ? c : (0xF00 >> n & 0xF0) | c);
  return bytes_add(out, utf8, n);
}

static int scan_escape(Scan *s, Bytes *out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (s->at < s->end && *s->at == 'u') {
    s->at++;
    return scan_unicode(s, out);
  }
  const char *found = s->at < s->end && *s->at ? strchr(from, *s->at) : NULL;
  if (!found) return bad(s, "an escape");
  s->at++;
  return bytes_add(out, to + (found - from), 1);
}

int scan_string(Scan *s, Bytes *out) {
  out->size = 0;
  if (!scan_want(s, '"')) return 0;
  while (s->at < s->end && *s->at != '"') {
    const char *run = s->at;
    while (s->at < s->end && *s->at != '"' && *s->at != '\\' && (unsigned char)*s->at >= 0x20) s->at++;
    if (!bytes_add(out, run, (size_t)(s->at - run))) return 0;
    if (s->at == s->end || *s->at == '"') break;
    if (*s->at++ != '\\') return s->at--, bad(s, "text without control bytes");
    if (!scan_escape(s, out)) return 0;
  }
  if (s->at == s->end) return bad(s, "the end of a text");
  s->at++;
  return bytes_add(out, "", 1) && out->size--;
}

int scan_number(Scan *s, long *out) {
  scan_is(s, ' '); /* blanks */
  const char *start = s->at;
  for (*out = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
    if (*out > (1L << 62) / 10 - 1)
      return bad(s, "a number below 2^62");
    else
      *out = *out * 10 + (*s->at - '0');
  return s->at > start || bad(s, "a whole number");
}
