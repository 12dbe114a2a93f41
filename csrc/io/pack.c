/* Packs: the cache's files, one tensor each. Layout, all little-endian:
 *
 *   "COHPACK1" | encoding, dtype, rank, 0 (4 × u8) | key size (u32) | shape (rank × i64) | key | data |
 * CRC-32 (u32)
 *
 * The checksum covers all before it. Encoding 1 holds float32 as int16 in 1/64: a flow's precision at half
 * its size. */
#include "io/array.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PLAIN, FLOW64, KEY_MAX = 1 << 16, PIECE = 1 << 14 };
static const char MAGIC[8] = "COHPACK1";

typedef struct Head {
  char magic[8];
  uint8_t encoding, dtype, rank, zero;
  uint32_t key_size;
} Head;

static int emit(Sink *s, uLong *crc, const void *data, size_t size) {
  *crc = crc32_z(*crc, data, size);
  return sink_write(s, data, size);
}

static int emit_flow(Sink *s, uLong *crc, const Tensor *t) {
  const float *from = tensor_data(t);
  int16_t piece[PIECE];
  for (long done = 0, n; done < t->size; done += n) {
    n = t->size - done < PIECE ? t->size - done : PIECE;
    for (long i = 0; i < n; i++) piece[i] = (int16_t)lrintf(fminf(fmaxf(from[done + i] * 64, -32767), 32767));
    if (!emit(s, crc, piece, (size_t)n * sizeof *piece)) return 0;
  }
  return 1;
}

int pack_write(const char *path, const char *key, const Tensor *t, int flow64, const char *folder) {
  if (flow64 && t->dtype != F32)
    return fail("%s: expected a float32 flow, found %s", path, dtype_name[t->dtype]);
  Head head = {.encoding = flow64 ? FLOW64 : PLAIN,
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
           (flow64 ? emit_flow(&s, &crc, t) : emit(&s, &crc, tensor_data(t), tensor_bytes(t)));
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
      head->rank > RANK_MAX || head->encoding > FLOW64 || (head->encoding == FLOW64 && head->dtype != F32))
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
  size_t bytes = head->encoding == FLOW64 ? 2 : dtype_bytes[head->dtype];
  if (count < 0 || (size_t)count != (left - 4 - *at) / bytes || (left - 4 - *at) % bytes)
    return fail("%s: expected as much data as the shape says, found %zu bytes", path, left - 4 - *at), NULL;
  uint32_t sum;
  memcpy(&sum, file->data + left - 4, 4);
  if (sum != crc32_z(crc32_z(0, NULL, 0), file->data, left - 4))
    return fail("%s: expected an intact cached tensor, found a wrong checksum", path), NULL;
  if (strlen(key) != head->key_size || memcmp(file->data + *at - head->key_size, key, head->key_size) != 0)
    return fail("%s: expected the cached tensor of %.200s, found another's", path, key), NULL;
  return tensor_new((Dtype)head->dtype, head->rank, shape);
}

Tensor *pack_read(const char *path, const char *key) {
  Bytes file;
  size_t at;
  Head head;
  if (!file_read(path, (size_t)1 << 40, &file)) return NULL;
  Tensor *t = announced(path, &file, key, &at, &head);
  void *to = t ? tensor_write(t) : NULL;
  if (to && head.encoding == FLOW64) {
    int16_t value;
    for (long i = 0; i < t->size; i++) {
      memcpy(&value, file.data + at + 2 * (size_t)i, 2);
      ((float *)to)[i] = (float)value / 64;
    }
  } else if (to) {
    memcpy(to, file.data + at, tensor_bytes(t));
  }
  bytes_free(&file);
  return t;
}
