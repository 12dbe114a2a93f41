/* The first bytes of files that lie under other files' names: see kind.h. A table of signatures, then text.
 * Guesses are for messages alone, so the table has what people confuse, not all there is. */
#include "io/kind.h"

#include "core/error.h"
#include "io/pickle.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- signatures ---- */

typedef struct Signature {
  size_t at, size;
  const char *bytes, *phrase;
} Signature;

#define BYTES(text) sizeof text - 1, text

/* In order: what is more special comes first. */
static const Signature signatures[] = {
    {0, BYTES("version https://git-lfs.github.com/spec/"), "a Git LFS pointer (git lfs pull gets the file)"},
    {0, BYTES("/annex/objects/"), "a git-annex pointer (git annex get gets the file)"},
    {0, BYTES("\x89PNG\r\n\x1a\n"), "a PNG picture"},
    {0, BYTES("\xff\xd8\xff"), "a JPEG picture"},
    {0, BYTES("GIF8"), "a GIF picture"},
    {0, BYTES("II*\0"), "a TIFF picture"},
    {0, BYTES("MM\0*"), "a TIFF picture"},
    {8, BYTES("WEBP"), "a WebP picture"},
    {8, BYTES("AVI "), "an AVI video"},
    {4, BYTES("ftypavif"), "an AVIF picture"},
    {4, BYTES("ftyphei"), "a HEIC picture"},
    {4, BYTES("ftypmif1"), "a HEIC picture"},
    {4, BYTES("ftyp"), "an MP4 or MOV video"},
    {0, BYTES("\x1a\x45\xdf\xa3"), "a Matroska or WebM video"},
    {0, BYTES("\x93NUMPY"), "a NumPy array (.npy)"},
    {0, BYTES("PIEH"), "a flow field (.flo)"},
    {0, BYTES("\x89HDF\r\n\x1a\n"), "an HDF5 file"},
    {0, BYTES("GGUF"), "a GGUF file"},
    {0, BYTES("MATLAB 5.0 MAT-file"), "a MATLAB file"},
    {0, BYTES("COHPACK1"), "a pack of the cache"},
    {0, BYTES("PK\3\4"), "a zip file"},
    {0, BYTES("PK\5\6"), "a zip file"},
    {0, BYTES("\x1f\x8b"), "a gzip file (gunzip unpacks it)"},
    {0, BYTES("BZh"), "a bzip2 file (bunzip2 unpacks it)"},
    {0,
     BYTES("\xfd"
           "7zXZ\0"),
     "an xz file (unxz unpacks it)"},
    {0, BYTES("\x28\xb5\x2f\xfd"), "a zstd file (unzstd unpacks it)"},
    {0, BYTES("7z\xbc\xaf\x27\x1c"), "a 7z archive"},
    {0, BYTES("Rar!\x1a\x07"), "a RAR archive"},
    {257, BYTES("ustar"), "a tar archive"},
    {0, BYTES("%PDF-"), "a PDF file"},
    {0, BYTES("SQLite format 3\0"), "an SQLite file"},
    {0,
     BYTES("\x7f"
           "ELF"),
     "a program (ELF)"},
    {0, BYTES("\xff\xfe"), "text in UTF-16"},
    {0, BYTES("\xfe\xff"), "text in UTF-16"},
};

static const char *by_signature(const unsigned char *head, size_t size) {
  for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
    const Signature *s = &signatures[i];
    if (s->at + s->size <= size && memcmp(head + s->at, s->bytes, s->size) == 0) return s->phrase;
  }
  if (size >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
    return "a pickle (of Python, or of PyTorch before 1.6)";
  if (size >= 9 && memcmp(head + 5, "\0\0\0{", 4) == 0) return "a safetensors file";
  if (size > 188 && head[0] == 'G' && head[188] == 'G') return "an MPEG transport stream";
  return NULL;
}

/* ---- text ---- */

static int is_text(const unsigned char *head, size_t size) {
  for (size_t i = 0; i < size; i++)
    if ((head[i] < ' ' && !strchr("\t\n\r\f", head[i])) || head[i] == 0 || head[i] == 0x7f || head[i] > 0xf4)
      return 0;
  return size > 0;
}

static int starts(const char *text, size_t size, const char *with) {
  return size >= strlen(with) && strncasecmp(text, with, strlen(with)) == 0;
}

static const char *by_text(char room[KIND_TEXT], const unsigned char *head, size_t size) {
  static const char *const html[] = {"<!doctype html", "<html", "<head", "<body", "<script", "<title"};
  if (!is_text(head, size)) return NULL;
  const char *text = (const char *)head, *end = text + size;
  if (starts(text, size, "\xef\xbb\xbf")) text += 3;
  while (text < end && strchr(" \t\n\r\f", *text)) text++;
  size_t left = (size_t)(end - text);
  for (size_t i = 0; i < sizeof html / sizeof *html; i++)
    if (starts(text, left, html[i])) return "an HTML page";
  for (const char *at = text; starts(text, left, "<") && at < end; at++) /* behind a comment or <?xml …?> */
    if (starts(at, (size_t)(end - at), "<!doctype html") || starts(at, (size_t)(end - at), "<html"))
      return "an HTML page";
  if (left > 1 && *text == '<') return "an XML file (the error of a server?)";
  size_t line = 0;
  while (line < left && line < 60 && text[line] != '\n' && text[line] != '\r') line++;
  while (line > 0 && line < left && (text[line] & 0xc0) == 0x80) line--; /* not within a character */
  char begin[64];
  pickle_text(begin, sizeof begin, text, line);
  if (*begin == '{' || *begin == '[')
    snprintf(room, KIND_TEXT, "JSON (%s%s)", begin, line < left ? " ..." : "");
  else
    snprintf(room, KIND_TEXT, "text (\"%s\"%s)", begin, line < left ? " ..." : "");
  return room;
}

const char *kind_of_bytes(char room[KIND_TEXT], const void *head, size_t size) {
  size_t zeros = 0;
  while (zeros < size && ((const unsigned char *)head)[zeros] == 0) zeros++;
  if (size == 0) return "an empty file";
  if (zeros == size && size >= 64) return "zero bytes (a download that was not finished?)";
  const char *phrase = by_signature(head, size);
  return phrase ? phrase : by_text(room, head, size < KIND_HEAD ? size : KIND_HEAD);
}

const char *kind_of_source(char room[KIND_TEXT], const Source *s) {
  unsigned char head[KIND_HEAD];
  size_t size = s->size < sizeof head ? s->size : sizeof head;
  return source_read(s, 0, head, size) ? kind_of_bytes(room, head, size) : NULL;
}

int fail_kind_of(const char *name, const void *head, size_t size, const char *expected) {
  char room[KIND_TEXT];
  const char *phrase = kind_of_bytes(room, head, size);
  return fail("%s: expected %s, found %s", name, expected, phrase ? phrase : "another kind");
}

int fail_kind(const Source *s, const char *expected) {
  unsigned char head[KIND_HEAD];
  size_t size = s->size < sizeof head ? s->size : sizeof head;
  return source_read(s, 0, head, size) && fail_kind_of(s->path, head, size, expected);
}
