/* Sets the checksums of damaged files right, where they can be found. Touches nothing else. */
#include "fuzz.h"

#include <string.h>
#include <zlib.h>

static uint32_t big(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t little(const uint8_t *at, size_t bytes) {
  uint32_t value = 0;
  memcpy(&value, at, bytes);
  return value;
}

static uint32_t crc(const uint8_t *data, size_t size) { return (uint32_t)crc32_z(0, data, size); }

/* Of every chunk: length, name, data, CRC. */
void mend_png(uint8_t *data, size_t size) {
  for (size_t at = 8; at + 12 <= size;) {
    size_t length = big(data + at);
    if (length > size - at - 12) return;
    uint32_t sum = crc(data + at + 4, length + 4);
    for (int i = 0; i < 4; i++) data[at + 8 + length + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
    at += 12 + length;
  }
}

/* Of the stored entries that the directory names. */
void mend_zip(uint8_t *data, size_t size) {
  for (size_t at = 0; at + 46 <= size; at++) {
    if (memcmp(data + at, "PK\1\2", 4) != 0 || little(data + at + 10, 2) != 0) continue;
    size_t offset = little(data + at + 42, 4), packed = little(data + at + 20, 4);
    if (offset > size || size - offset < 30) continue;
    size_t start = offset + 30 + little(data + offset + 26, 2) + little(data + offset + 28, 2);
    if (start > size || packed > size - start) continue;
    uint32_t sum = crc(data + start, packed);
    memcpy(data + at + 16, &sum, 4);
  }
}

/* Of all before the last four bytes. */
void mend_pack(uint8_t *data, size_t size) {
  if (size < 4) return;
  uint32_t sum = crc(data, size - 4);
  memcpy(data + size - 4, &sum, 4);
}
