/* Packs: the cache's files, one tensor each. Layout, all little-endian:
 *
 *   "COHPACK1" | encoding, dtype, rank, 0 (4 × u8) | key size (u32) | shape (rank × i64) | key | data |
 * CRC-32 (u32)
 *
 * The checksum covers all before it. FLOW64 holds float32 as int16 in 1/64: a flow's precision at half its size.
 * DEFLATED are the plain data through zlib; FLOW64_DEFLATED the differences of int16 to the pixel at the left (of a
 * row's first to the one above), even ones 0, 2, 4 … for 0, 1, 2 …, odd ones for -1, -2 …, all low bytes before all
 * high ones, channel by channel: an eighth of int16 on smooth fields. Of the four, two are written. */
#include "io/array.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
  PLAIN,
  FLOW64,
  DEFLATED,
  FLOW64_DEFLATED,
  ENCODINGS,
  KEY_MAX = 1 << 16,
  ROOM = 1 << 15,
  ZLIB_MOST = 1 << 30
};
enum { SHRINK_MOST = 1040 }; /* bytes that one byte of deflated data can stand for, a little more than that */
static const char MAGIC[8] = "COHPACK1";

typedef struct Head {
  char magic[8];
  uint8_t encoding, dtype, rank, zero;
  uint32_t key_size;
} Head;

static int is_flow64(int encoding) { return encoding == FLOW64 || encoding == FLOW64_DEFLATED; }

static int emit(Sink *s, uLong *crc, const void *data, size_t size) {
  *crc = crc32_z(*crc, data, size);
  return sink_write(s, data, size);
}

static int emit_deflated(Sink *s, uLong *crc, const void *data, size_t size) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)data};
  if (deflateInit2(&z, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_RLE) != Z_OK)
    return fail("pack: expected memory for zlib, found none left");
  unsigned char room[ROOM];
  int ok = 1, status = Z_OK;
  while (ok && status != Z_STREAM_END) {
    if (z.avail_in == 0) {
      z.avail_in = (uInt)(size < ZLIB_MOST ? size : ZLIB_MOST);
      size -= z.avail_in;
    }
    z.next_out = room, z.avail_out = sizeof room;
    status = deflate(&z, size ? Z_NO_FLUSH : Z_FINISH);
    ok = emit(s, crc, room, sizeof room - z.avail_out);
  }
  deflateEnd(&z);
  return ok;
}

/* `size` bytes of what was deflated, which is all of it. */
static int inflate_all(const char *path, const unsigned char *from, size_t packed, void *to, size_t size) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)from, .next_out = to};
  int status = inflateInit2(&z, -MAX_WBITS);
  while (status == Z_OK) {
    if (z.avail_in == 0) packed -= z.avail_in = (uInt)(packed < ZLIB_MOST ? packed : ZLIB_MOST);
    if (z.avail_out == 0) size -= z.avail_out = (uInt)(size < ZLIB_MOST ? size : ZLIB_MOST);
    status = inflate(&z, Z_NO_FLUSH);
  }
  inflateEnd(&z);
  if (status == Z_MEM_ERROR) return fail("%s: expected memory for zlib, found none left", path);
  if (status == Z_STREAM_END && packed + z.avail_in == 0 && size + z.avail_out == 0) return 1;
  return fail("%s: expected deflated data of the shape's size, found others", path);
}

/* How a tensor's values lie: rows of so many pixels of so many channels. */
typedef struct Layout {
  size_t count, rows, pixels, channels;
} Layout;

static Layout layout_of(const Tensor *t) {
  Layout l = {.count = (size_t)t->size, .pixels = 1, .channels = 1};
  if (t->rank > 0) l.channels = (size_t)t->shape[t->rank - 1];
  if (t->rank > 1) l.pixels = (size_t)t->shape[t->rank - 2];
  l.rows = l.count ? l.count / l.pixels / l.channels : 0;
  return l;
}

/* planes: 2 · count bytes, as FLOW64_DEFLATED has them. */
static void fold(const Layout *l, const float *from, unsigned char *planes) {
  unsigned char *low = planes, *high = planes + l->count;
  for (size_t c = 0; c < l->channels; c++) {
    uint16_t first = 0;
    for (size_t y = 0; y < l->rows; y++) {
      const float *row = from + y * l->pixels * l->channels + c;
      uint16_t last = first;
      for (size_t x = 0; x < l->pixels; x++) {
        const float v = row[x * l->channels] * 64; /* no number becomes the lowest */
        const uint16_t value = (uint16_t)lrintf(v > -32767 ? v < 32767 ? v : 32767 : -32767);
        const uint16_t d = (uint16_t)(value - last), folded = (uint16_t)(d << 1 ^ (d >> 15 ? 0xFFFF : 0));
        *low++ = (unsigned char)folded, *high++ = (unsigned char)(folded >> 8);
        last = value;
        if (x == 0) first = value;
      }
    }
  }
}

static void unfold(const Layout *l, const unsigned char *planes, float *to) {
  const unsigned char *low = planes, *high = planes + l->count;
  for (size_t c = 0; c < l->channels; c++) {
    uint16_t first = 0;
    for (size_t y = 0; y < l->rows; y++) {
      float *row = to + y * l->pixels * l->channels + c;
      uint16_t value = first;
      for (size_t x = 0; x < l->pixels; x++) {
        const uint16_t folded = (uint16_t)(*low++ | *high++ << 8);
        value = (uint16_t)(value + (folded >> 1 ^ (folded & 1 ? 0xFFFF : 0)));
        row[x * l->channels] = (float)(int16_t)value / 64;
        if (x == 0) first = value;
      }
    }
  }
}

static int emit_flow(Sink *s, uLong *crc, const Tensor *t) {
  const Layout l = layout_of(t);
  unsigned char *planes = malloc(2 * l.count + 1);
  if (!planes) return fail("pack: expected memory for a flow, found none left");
  fold(&l, tensor_data(t), planes);
  const int ok = emit_deflated(s, crc, planes, 2 * l.count);
  free(planes);
  return ok;
}

int pack_write(const char *path, const char *key, const Tensor *t, int flow64, const char *folder) {
  if (flow64 && t->dtype != F32)
    return fail("%s: expected a float32 flow, found %s", path, dtype_name[t->dtype]);
  Head head = {.encoding = flow64           ? FLOW64_DEFLATED
                           : t->dtype == U8 ? DEFLATED
                                            : PLAIN,
               .dtype = (uint8_t)t->dtype,
               .rank = (uint8_t)t->rank,
               .key_size = (uint32_t)strnlen(key, KEY_MAX)};
  memcpy(head.magic, MAGIC, sizeof MAGIC);
  int64_t shape[RANK_MAX];
  for (int d = 0; d < t->rank; d++) shape[d] = t->shape[d];
  Sink s;
  if (!sink_open_by(&s, path, folder)) return 0;
  s.durable = 0;
  uLong crc = crc32_z(0, NULL, 0);
  int ok = emit(&s, &crc, &head, sizeof head) && emit(&s, &crc, shape, (size_t)t->rank * sizeof *shape) &&
           emit(&s, &crc, key, head.key_size) &&
           (flow64           ? emit_flow(&s, &crc, t)
            : t->dtype == U8 ? emit_deflated(&s, &crc, tensor_data(t), tensor_bytes(t))
                             : emit(&s, &crc, tensor_data(t), tensor_bytes(t)));
  uint32_t sum = (uint32_t)crc;
  if (ok && sink_write(&s, &sum, sizeof sum)) return sink_commit(&s);
  sink_abort(&s);
  return 0;
}

/* The tensor that the header announces, after its claims were checked against the file; *at is where data
 * start. */
static Tensor *announced(const char *path, const Bytes *file, const char *key, size_t *at, Head *head) {
  size_t left = file->size;
  int64_t sizes[RANK_MAX];
  long shape[RANK_MAX], count = 1;
  if (left >= sizeof *head) memcpy(head, file->data, sizeof *head);
  if (left < sizeof *head || memcmp(head->magic, MAGIC, sizeof MAGIC) != 0 || head->dtype >= DTYPES ||
      head->rank > RANK_MAX || head->encoding >= ENCODINGS ||
      (is_flow64(head->encoding) && head->dtype != F32))
    return fail("%s: expected a cached tensor, found another kind", path), NULL;
  *at = sizeof *head + head->rank * sizeof *sizes + head->key_size;
  if (head->key_size > KEY_MAX || *at + 4 > left)
    return fail("%s: expected a cached tensor, found the end of the file", path), NULL;
  memcpy(sizes, file->data + sizeof *head, head->rank * sizeof *sizes);
  for (int d = 0; d < head->rank; d++) {
    shape[d] = sizes[d];
    if (sizes[d] < 0 || __builtin_mul_overflow(count, sizes[d], &count)) count = -1;
    if (count < 0) break;
  }
  size_t bytes = is_flow64(head->encoding) ? 2 : dtype_bytes[head->dtype], stored = left - 4 - *at, all = 0;
  const int fits = count >= 0 && !__builtin_mul_overflow((size_t)count, bytes, &all) &&
                   (head->encoding >= DEFLATED ? all / SHRINK_MOST <= stored : all == stored);
  if (!fits) return fail("%s: expected as much data as the shape says, found %zu bytes", path, stored), NULL;
  uint32_t sum;
  memcpy(&sum, file->data + left - 4, 4);
  if (sum != crc32_z(crc32_z(0, NULL, 0), file->data, left - 4))
    return fail("%s: expected an intact cached tensor, found a wrong checksum", path), NULL;
  if (strlen(key) != head->key_size || memcmp(file->data + *at - head->key_size, key, head->key_size) != 0)
    return fail("%s: expected the cached tensor of %.200s, found another's", path, key), NULL;
  return tensor_new((Dtype)head->dtype, head->rank, shape);
}

/* The data in the file's encoding, into the tensor. */
static int decode(const char *path, const Head *head, const unsigned char *data, size_t size, Tensor *t) {
  void *to = tensor_write(t);
  if (!to) return 0;
  if (head->encoding == DEFLATED) return inflate_all(path, data, size, to, tensor_bytes(t));
  if (head->encoding == PLAIN) return memcpy(to, data, size), 1;
  if (head->encoding == FLOW64) {
    int16_t value;
    for (long i = 0; i < t->size; i++) {
      memcpy(&value, data + 2 * (size_t)i, 2);
      ((float *)to)[i] = (float)value / 64;
    }
    return 1;
  }
  const Layout l = layout_of(t);
  unsigned char *planes = malloc(2 * l.count + 1);
  int ok = planes ? inflate_all(path, data, size, planes, 2 * l.count)
                  : fail("%s: expected memory for a flow, found none left", path);
  if (ok) unfold(&l, planes, to);
  free(planes);
  return ok;
}

Tensor *pack_read(const char *path, const char *key) {
  Bytes file;
  size_t at;
  Head head;
  if (!file_read(path, (size_t)1 << 40, &file)) return NULL;
  Tensor *t = announced(path, &file, key, &at, &head);
  if (t && !decode(path, &head, file.data + at, file.size - 4 - at, t)) {
    tensor_release(t);
    t = NULL;
  }
  bytes_free(&file);
  return t;
}
