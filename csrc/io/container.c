/* AVI, ASF (WMV), Matroska (WebM), FLV, Ogg, GIF and MPEG transport streams: see container.h. MP4 is not
 * among them, because ffmpeg itself finds what is missing there by the index. */
#include "io/container.h"

#include "core/error.h"
#include "io/file.h"

#include <stdint.h>
#include <string.h>

enum { HEAD = 4096 };  /* bytes of the beginning: all that is read of most files */
enum { PAGE = 65307 }; /* bytes of the largest page of Ogg, and what is read of its end */

typedef struct Head {
  Source file;
  unsigned char bytes[HEAD];
  size_t size;
} Head;

static uint64_t little(const unsigned char *b, int n) {
  uint64_t v = 0;
  for (int i = n; i-- > 0;) v = v << 8 | b[i];
  return v;
}

static uint64_t big(const unsigned char *b, int n) {
  uint64_t v = 0;
  for (int i = 0; i < n; i++) v = v << 8 | b[i];
  return v;
}

static int begins(const Head *h, size_t at, const void *with, size_t size) {
  return at + size <= h->size && memcmp(h->bytes + at, with, size) == 0;
}

/* size: what the file says, 0 when it says nothing. */
static int check_size(const Head *h, uint64_t size) {
  if (size <= h->file.size) return 1;
  return fail("%s: expected a whole video file of at least %llu bytes, found %zu", h->file.path,
              (unsigned long long)size, h->file.size);
}

/* Boxes one after the other: a size that counts the head in, 1 when it follows in 8 bytes, 0 for the rest of
 * the file. Boxes of no weight may be cut: some cameras leave such ends. */
static int mp4_whole(const Head *h) {
  uint64_t at = 0;
  for (int boxes = 0; boxes < 1 << 20 && at + 16 <= h->file.size;
       boxes++) { /* fragments are two boxes each */
    unsigned char box[16];
    if (!source_read(&h->file, (size_t)at, box, 16)) return 0;
    uint64_t size = big(box, 4);
    int weighs =
        memcmp(box + 4, "moov", 4) == 0 || memcmp(box + 4, "mdat", 4) == 0 || memcmp(box + 4, "moof", 4) == 0;
    if (size == 1) size = big(box + 8, 8);
    if (size < 8 || size > INT64_MAX) break;
    at += size;
    if (weighs && !check_size(h, at)) return 0;
  }
  return 1;
}

/* Chunks RIFF, one after the other in files beyond 1 GB; the size is 0 in one that was not finished. Some
 * writers count the 8 bytes of its head in. */
static int avi_whole(const Head *h) {
  uint64_t at = 0;
  for (int chunks = 0; chunks < 4096 && at + 8 <= h->file.size; chunks++) {
    unsigned char chunk[8];
    if (!source_read(&h->file, (size_t)at, chunk, 8)) return 0;
    uint64_t size = little(chunk + 4, 4);
    if (memcmp(chunk, "RIFF", 4) != 0 || size == 0 || size == UINT32_MAX) break;
    if (!check_size(h, at + size)) return 0;
    at += 8 + size + (size & 1);
  }
  return 1;
}

/* The file properties object holds the file's size, unless the file was broadcast. */
static int asf_whole(const Head *h) {
  static const unsigned char properties[16] = {0xA1, 0xDC, 0xAB, 0x8C, 0x47, 0xA9, 0xCF, 0x11,
                                               0x8E, 0xE4, 0x00, 0xC0, 0x0C, 0x20, 0x53, 0x65};
  for (size_t at = 30; at + 92 <= h->size;) {
    uint64_t size = little(h->bytes + at + 16, 8);
    if (begins(h, at, properties, 16))
      return (h->bytes[at + 88] & 1) != 0 || check_size(h, little(h->bytes + at + 40, 8));
    if (size < 24 || size > h->size) break;
    at += (size_t)size;
  }
  return 1;
}

/* A number of EBML at `at`: its length in bytes; its value, UINT64_MAX for "unknown". 0 when it is none. */
static size_t ebml_number(const Head *h, size_t at, uint64_t *value) {
  if (at >= h->size || h->bytes[at] == 0) return 0;
  int n = 1;
  while (!(h->bytes[at] & (0x80 >> (n - 1)))) n++;
  if (at + (size_t)n > h->size) return 0;
  uint64_t ones = ((uint64_t)1 << 7 * n) - 1;
  *value = big(h->bytes + at, n) & ones;
  if (*value == ones) *value = UINT64_MAX;
  return (size_t)n;
}

/* The header of EBML, then the segment, which is the rest of the file. */
static int matroska_whole(const Head *h) {
  uint64_t size;
  size_t n = ebml_number(h, 4, &size);
  if (n == 0 || size > HEAD) return 1;
  size_t at = 4 + n + (size_t)size;
  if (!begins(h, at, "\x18\x53\x80\x67", 4) || (n = ebml_number(h, at + 4, &size)) == 0) return 1;
  return size > INT64_MAX || check_size(h, at + 4 + n + size);
}

/* The script data at the beginning may hold the number "filesize": its name's length, the name, 0,
 * a double. */
static int flv_whole(const Head *h) {
  static const char name[11] = "\0\10filesize";
  for (size_t at = 0; at + 19 <= h->size; at++) {
    if (!begins(h, at, name, sizeof name)) continue;
    uint64_t bits = big(h->bytes + at + 11, 8);
    double size;
    memcpy(&size, &bits, sizeof size);
    return !(size > 0 && size < 1e18) || check_size(h, (uint64_t)size);
  }
  return 1;
}

/* The last page carries the mark of a stream's end, and is whole. */
static int ogg_whole(const Head *h) {
  unsigned char tail[PAGE];
  size_t size = h->file.size < PAGE ? h->file.size : PAGE, at = size;
  if (!source_read(&h->file, h->file.size - size, tail, size)) return 0;
  while (at > 0 && (size - at < 27 || memcmp(tail + at, "OggS", 4) != 0)) at--;
  if (size - at >= 27 && (tail[at + 5] & 4)) {
    size_t table = at + 27, end = table + tail[at + 26];
    for (size_t i = table; i < table + tail[at + 26] && i < size; i++) end += tail[i];
    if (end <= size) return 1;
  }
  return fail("%s: expected a whole video file, found no end of its Ogg stream", h->file.path);
}

/* The last byte is the trailer. */
static int gif_whole(const Head *h) {
  unsigned char last;
  if (!source_read(&h->file, h->file.size - 1, &last, 1)) return 0;
  return last == 0x3B || fail("%s: expected a whole video file, found no end of its GIF", h->file.path);
}

/* Packets of one length from the first byte on; the last one is whole. */
static int transport_whole(const Head *h) {
  static const size_t lengths[] = {188, 192, 204};
  for (int i = 0; i < 3; i++) {
    size_t n = lengths[i], first = n == 192 ? 4 : 0;
    if (h->size < 5 * n) continue;
    int packets = 1;
    for (int k = 0; k < 5; k++) packets &= h->bytes[first + (size_t)k * n] == 0x47;
    if (packets && h->file.size % n)
      return fail(
          "%s: expected a whole video file of packets of %zu bytes, found %zu bytes of one at its end",
          h->file.path, n, h->file.size % n);
    if (packets) return 1;
  }
  return 1;
}

static int check(const Head *h) {
  if (begins(h, 4, "ftyp", 4) || begins(h, 4, "moov", 4) || begins(h, 4, "mdat", 4)) return mp4_whole(h);
  if (begins(h, 0, "RIFF", 4)) return avi_whole(h);
  if (begins(h, 0, "\x30\x26\xB2\x75\x8E\x66\xCF\x11", 8)) return asf_whole(h);
  if (begins(h, 0, "\x1A\x45\xDF\xA3", 4)) return matroska_whole(h);
  if (begins(h, 0, "FLV", 3)) return flv_whole(h);
  if (begins(h, 0, "OggS", 4)) return ogg_whole(h);
  if (begins(h, 0, "GIF8", 4)) return gif_whole(h);
  return transport_whole(h);
}

int container_whole(const char *path) {
  Head h;
  if (!source_open(&h.file, path)) return 0;
  h.size = h.file.size < HEAD ? h.file.size : HEAD;
  int ok = source_read(&h.file, 0, h.bytes, h.size) && check(&h);
  source_close(&h.file);
  return ok;
}
