/* Writing .npz files: each entry is packed in memory, since its sizes stand before it. The counterpart of
 * npz.c; zip64 fields only where 32 bits do not do. */
#include "io/array.h"

#include "core/error.h"
#include "io/zip.h"

#include <stdlib.h>
#include <string.h>

typedef struct Packer {
  Sink sink;
  Bytes directory;
  uint64_t at;       /* bytes written */
  uint64_t unpacked; /* bytes of the entries so far */
  int level;
} Packer;

static void put(unsigned char **at, uint64_t value, int bytes) {
  memcpy(*at, &value, (size_t)bytes);
  *at += bytes;
}

static int emit(Packer *p, const void *data, size_t size) {
  p->at += size;
  return sink_write(&p->sink, data, size);
}

/* The fields that local and central headers share, from "version needed" to the length of the extra field. */
static void put_common(unsigned char **h, int method, uint32_t crc, uint64_t packed, uint64_t size,
                       size_t name, size_t extra) {
  put(h, 45, 2);
  put(h, 1 << 11, 2); /* names are UTF-8 */
  put(h, (uint64_t)method, 2);
  put(h, 0x00210000, 4); /* 1 January 1980: equal arrays give equal files */
  put(h, crc, 4);
  put(h, packed < UINT32_MAX ? packed : UINT32_MAX, 4);
  put(h, size < UINT32_MAX ? size : UINT32_MAX, 4);
  put(h, name, 2);
  put(h, extra, 2);
}

/* Deflates header and data into `out`, whose old content goes. */
static int deflate_all(int level, int strategy, const Bytes *header, const Tensor *t, Bytes *out) {
  z_stream z = {0};
  out->size = 0;
  if (deflateInit2(&z, level, Z_DEFLATED, -MAX_WBITS, 8, strategy) != Z_OK)
    return fail("npz: expected memory for zlib, found none left");
  const unsigned char *parts[] = {header->data, tensor_data(t)};
  size_t left[] = {header->size, tensor_bytes(t)};
  unsigned char buffer[1 << 15];
  int ok = 1, status = Z_OK;
  for (int part = 0; ok && status != Z_STREAM_END;) {
    if (z.avail_in == 0 && left[part] == 0 && part == 0) part = 1;
    if (z.avail_in == 0 && left[part] > 0) {
      size_t n = left[part] < (1 << 30) ? left[part] : (1 << 30);
      z.next_in = (Bytef *)(uintptr_t)parts[part];
      z.avail_in = (uInt)n;
      parts[part] += n;
      left[part] -= n;
    }
    z.next_out = buffer;
    z.avail_out = sizeof buffer;
    status = deflate(&z, part == 1 && left[1] == 0 ? Z_FINISH : Z_NO_FLUSH);
    ok = bytes_add(out, buffer, sizeof buffer - z.avail_out);
  }
  deflateEnd(&z);
  return ok;
}

static int add_entry(Packer *p, const char *name, const Bytes *header, const Tensor *t, const Bytes *packed) {
  uint64_t size = header->size + tensor_bytes(t), offset = p->at, stored = packed ? packed->size : size;
  size_t name_size = strlen(name) + 4;
  int wide = size >= UINT32_MAX || stored >= UINT32_MAX, far = offset >= UINT32_MAX;
  uLong crc = crc32_z(crc32_z(0, header->data, header->size), tensor_data(t), tensor_bytes(t));
  unsigned char local[64], central[96], extra[28], *l = local, *c = central, *x = extra;
  if (wide || far) {
    put(&x, 1, 2);
    put(&x, (uint64_t)(16 * wide + 8 * far), 2);
    if (wide) put(&x, size, 8), put(&x, stored, 8);
    if (far) put(&x, offset, 8);
  }
  size_t extra_size = (size_t)(x - extra), local_extra = wide ? 20 : 0;
  if (wide) stored = size = UINT32_MAX;
  int method = packed ? 8 : 0;
  put(&l, 0x04034b50, 4);
  put_common(&l, method, (uint32_t)crc, stored, size, name_size, local_extra);
  put(&c, 0x02014b50, 4);
  put(&c, 45, 2);
  put_common(&c, method, (uint32_t)crc, stored, size, name_size, extra_size);
  put(&c, 0, 2), put(&c, 0, 2), put(&c, 0, 2), put(&c, 0, 4); /* comment, disk, attributes */
  put(&c, far ? UINT32_MAX : offset, 4);
  unsigned char local_x[20], *y = local_x;
  put(&y, 1, 2), put(&y, 16, 2);
  put(&y, header->size + tensor_bytes(t), 8),
      put(&y, packed ? packed->size : header->size + tensor_bytes(t), 8);
  if (!bytes_add(&p->directory, central, (size_t)(c - central)) ||
      !bytes_add(&p->directory, name, name_size - 4) || !bytes_add(&p->directory, ".npy", 4) ||
      !bytes_add(&p->directory, extra, extra_size))
    return 0;
  return emit(p, local, (size_t)(l - local)) && emit(p, name, name_size - 4) && emit(p, ".npy", 4) &&
         emit(p, local_x, local_extra) &&
         (packed ? emit(p, packed->data, packed->size)
                 : emit(p, header->data, header->size) && emit(p, tensor_data(t), tensor_bytes(t)));
}

/* Deflates an entry so that npz_read takes the file: of an array that hardly varies deflate would make a
 * thousandth, Huffman's code alone makes an eighth at best. */
static int deflate_entry(Packer *p, const Bytes *header, const Tensor *t, Bytes *out) {
  if (!deflate_all(p->level, Z_DEFAULT_STRATEGY, header, t, out)) return 0;
  p->unpacked += header->size + tensor_bytes(t);
  return p->unpacked <= zip_room(p->at + out->size) || deflate_all(p->level, Z_HUFFMAN_ONLY, header, t, out);
}

static int write_item(Packer *p, const Named *item) {
  Bytes header = {0}, packed = {0};
  if (strlen(item->name) > 60000)
    return fail("%s: expected names of at most 60000 bytes, found a longer one", p->sink.path);
  int ok = npy_header(item->tensor, &header) &&
           (p->level == 0 || deflate_entry(p, &header, item->tensor, &packed));
  if (!ok) fail("%s: %s: %s", p->sink.path, item->name, error_message());
  ok = ok && add_entry(p, item->name, &header, item->tensor, p->level ? &packed : NULL);
  bytes_free(&header);
  bytes_free(&packed);
  return ok;
}

static int write_end(Packer *p, uint64_t count) {
  uint64_t start = p->at, size = p->directory.size;
  unsigned char end[56 + 20 + 22], *e = end;
  if (!emit(p, p->directory.data, p->directory.size)) return 0;
  if (count >= UINT16_MAX || start >= UINT32_MAX || size >= UINT32_MAX) {
    uint64_t where = p->at;
    put(&e, 0x06064b50, 4), put(&e, 44, 8), put(&e, 45, 2), put(&e, 45, 2), put(&e, 0, 4), put(&e, 0, 4);
    put(&e, count, 8), put(&e, count, 8), put(&e, size, 8), put(&e, start, 8);
    put(&e, 0x07064b50, 4), put(&e, 0, 4), put(&e, where, 8), put(&e, 1, 4);
    count = UINT16_MAX;
    start = size = UINT32_MAX;
  }
  put(&e, 0x06054b50, 4), put(&e, 0, 2), put(&e, 0, 2), put(&e, count, 2), put(&e, count, 2);
  put(&e, size, 4), put(&e, start, 4), put(&e, 0, 2);
  return emit(p, end, (size_t)(e - end));
}

int npz_write_sink(Sink *to, const Bundle *in, int level) {
  Packer p = {.sink = *to, .level = level};
  int ok = 1;
  for (long i = 0; ok && i < in->count; i++) ok = write_item(&p, &in->items[i]);
  ok = ok && write_end(&p, (uint64_t)in->count);
  bytes_free(&p.directory);
  *to = (Sink){.fd = -1};
  if (ok) return sink_commit(&p.sink);
  sink_abort(&p.sink);
  return 0;
}

int npz_write(const char *path, const Bundle *in, int level) {
  Sink s;
  if (level < 0 || level > 9) return fail("%s: expected a level of 0 to 9, found %d", path, level);
  return sink_open(&s, path) && npz_write_sink(&s, in, level);
}
