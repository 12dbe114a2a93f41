/* PNG files written through libpng; png.c reads them. libpng reports errors by longjmp: what must be freed
 * lives in a struct that the caller of setjmp owns. */
#include "io/image.h"

#include "core/error.h"
#include "io/png_error.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct Writer {
  Bytes *out;
  png_structp png;
  png_infop info;
  png_bytep row; /* one row in the file's form */
  int fast;
  char text[PNG_REASON_SIZE]; /* libpng's reason */
} Writer;

static void give(png_structp png, png_bytep from, png_size_t size) {
  if (!bytes_add(png_get_io_ptr(png), from, size)) png_error(png, "no memory left");
}

static void flush(png_structp png) { (void)png; }

/* Row y of the image as the file has it, in w->row. */
static void pack_row(Writer *w, const Tensor *image, int depth, long y, size_t values) {
  size_t first = (size_t)y * values;
  if (depth == 8) {
    memcpy(w->row, (const uint8_t *)tensor_data(image) + first, values);
  } else if (depth == 16) {
    const int32_t *from = (const int32_t *)tensor_data(image) + first;
    for (size_t i = 0; i < values; i++) {
      w->row[2 * i] = (png_byte)(from[i] >> 8);
      w->row[2 * i + 1] = (png_byte)from[i];
    }
  } else {
    const uint8_t *from = (const uint8_t *)tensor_data(image) + first;
    memset(w->row, 0, (values + 7) / 8);
    for (size_t i = 0; i < values; i++)
      if (from[i]) w->row[i / 8] |= (png_byte)(0x80 >> (i % 8));
  }
}

static int encode(Writer *w, const Tensor *image, int depth, int channels) {
  size_t values = (size_t)image->shape[1] * (size_t)channels;
  w->row = malloc(values * 2);
  w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w->text, png_on_error, png_on_warning);
  if (!w->row || !w->png || !(w->info = png_create_info_struct(w->png)))
    return fail("png: expected memory for libpng, found none left");
  if (setjmp(png_jmpbuf(w->png))) return fail("png: expected to write the picture, found: %s", w->text);
  png_set_write_fn(w->png, w->out, give, flush);
  png_set_user_limits(w->png, 1 << 24, 1 << 24);
  png_set_compression_level(
      w->png, 3); /* with these filters within 2 % of the default's size, at a third of its time */
  if (depth >= 8) png_set_filter(w->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB | PNG_FILTER_UP);
  png_set_IHDR(w->png, w->info, (png_uint_32)image->shape[1], (png_uint_32)image->shape[0], depth,
               channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (w->fast) { /* differences to the left neighbour, and zlib's second level:
                  * measured best on smooth fields */
    png_set_compression_level(w->png, 2);
    png_set_filter(w->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
  }
  png_write_info(w->png, w->info);
  for (long y = 0; y < image->shape[0]; y++) {
    pack_row(w, image, depth, y, values);
    png_write_row(w->png, w->row);
  }
  png_write_end(w->png, w->info);
  return 1;
}

/* 0 with a message unless the tensor can become a PNG file of this depth. */
static int check_image(const Tensor *image, int depth) {
  if (depth != 1 && depth != 8 && depth != 16) return fail("png: expected depth 1, 8 or 16, found %d", depth);
  Dtype wanted = depth == 16 ? I32 : U8;
  if (image->dtype != wanted)
    return fail("png: expected a %s picture for depth %d, found %s", dtype_name[wanted], depth,
                dtype_name[image->dtype]);
  int flat = image->rank == 2 || (image->rank == 3 && image->shape[2] == 1);
  if (!flat && (depth == 1 || image->rank != 3 || image->shape[2] != 3))
    return fail("png: expected %s, found %s", depth == 1 ? "HxW" : "HxW, HxWx1 or HxWx3", tensor_text(image));
  if (image->size == 0 || image->shape[0] > 1 << 24 || image->shape[1] > 1 << 24 ||
      image->shape[0] * image->shape[1] > IMAGE_PIXELS_MAX)
    return fail("png: expected 1 to %ld pixels, found %s", IMAGE_PIXELS_MAX, tensor_text(image));
  const int32_t *values = tensor_data(image);
  for (long i = 0; depth == 16 && i < image->size; i++)
    if (values[i] < 0 || values[i] > 65535)
      return fail("png: expected values of 0 to 65535 for depth 16, found %d", (int)values[i]);
  return 1;
}

static int encode_all(const Tensor *image, int depth, int fast, Bytes *out) {
  *out = (Bytes){0};
  if (!check_image(image, depth)) return 0;
  Writer w = {.out = out, .fast = fast};
  int ok = encode(&w, image, depth, image->rank == 3 ? (int)image->shape[2] : 1);
  png_destroy_write_struct(&w.png, &w.info);
  free(w.row);
  if (!ok) bytes_free(out);
  return ok;
}

int png_encode(const Tensor *image, int depth, Bytes *out) { return encode_all(image, depth, 0, out); }

int png_encode_fast(const Tensor *image, int depth, Bytes *out) { return encode_all(image, depth, 1, out); }

int png_write(const char *path, const Tensor *image, int depth) {
  Bytes bytes;
  if (!png_encode(image, depth, &bytes)) return fail("%s: %s", path, error_message());
  int ok = file_write(path, bytes.data, bytes.size);
  bytes_free(&bytes);
  return ok;
}
