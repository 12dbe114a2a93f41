/* PNG through libpng. libpng reports errors by longjmp: everything that must be freed lives in a struct that
 * the caller of setjmp owns. Ignores gamma and colour profiles: values are taken as stored. */
#include "io/image.h"

#include "core/error.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 30, DEFLATE_RATIO = 1032 }; /* deflate cannot expand more than 1032:1 */

typedef struct Reader {
  const char *path;
  Bytes file;
  size_t at;
  png_structp png;
  png_infop info;
  png_bytep pixels; /* decoded rows when they are not the tensor itself */
  png_bytepp rows;
  Tensor *image;
  char text[160]; /* libpng's reason */
} Reader;

static void on_error(png_structp png, png_const_charp reason) {
  char *text = png_get_error_ptr(png);
  strncpy(text, reason, sizeof((Reader *)0)->text - 1);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp reason) { (void)png, (void)reason; }

static void take(png_structp png, png_bytep to, png_size_t size) {
  Reader *r = png_get_io_ptr(png);
  if (size > r->file.size - r->at) png_error(png, "the file ends too early");
  memcpy(to, r->file.data + r->at, size);
  r->at += size;
}

/* Asks libpng for 3 channels of 8 or 16 bits, or for 1 of 8 bits. */
static void set_transforms(Reader *r, PngAs as, int colour, int depth) {
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r->png);
  if (colour == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(r->png);
  png_set_strip_alpha(r->png);
  if (as == PNG_RGB16) {
    if (depth < 16) png_set_expand_16(r->png);
    png_set_swap(r->png);
  } else if (depth == 16) {
    png_set_scale_16(r->png);
  }
  if (as == PNG_MASK) {
    if (colour & PNG_COLOR_MASK_COLOR) png_set_rgb_to_gray_fixed(r->png, PNG_ERROR_ACTION_NONE, -1, -1);
  } else if (!(colour & PNG_COLOR_MASK_COLOR)) {
    png_set_gray_to_rgb(r->png);
  }
}

/* Reads the header, checks the claimed size against the file, and makes room. May longjmp. */
static int start(Reader *r, PngAs as) {
  png_set_read_fn(r->png, r, take);
  png_set_user_limits(r->png, 1 << 24, 1 << 24);
  png_read_info(r->png, r->info);
  long w = png_get_image_width(r->png, r->info), h = png_get_image_height(r->png, r->info);
  int colour = png_get_color_type(r->png, r->info), depth = png_get_bit_depth(r->png, r->info);
  double packed = (double)png_get_rowbytes(r->png, r->info) * (double)h;
  if (h > IMAGE_PIXELS_MAX / w)
    return fail("%s: expected at most %ld pixels, found a PNG of %ldx%ld", r->path, IMAGE_PIXELS_MAX, w, h);
  if (packed > (double)r->file.size * DEFLATE_RATIO)
    return fail("%s: expected a PNG of %ldx%ld pixels, found a file of %zu bytes, too few for that", r->path,
                w, h, r->file.size);
  set_transforms(r, as, colour, depth);
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  size_t row = (size_t)w * (as == PNG_MASK ? 1 : as == PNG_RGB8 ? 3 : 6);
  if (png_get_rowbytes(r->png, r->info) != row)
    return fail("%s: expected rows of %zu bytes, found %zu", r->path, row, png_get_rowbytes(r->png, r->info));
  long shape[3] = {h, w, 3};
  if (!(r->image = tensor_new(as == PNG_RGB16 ? I32 : U8, as == PNG_MASK ? 2 : 3, shape))) return 0;
  png_bytep to = tensor_write(r->image);
  if (as == PNG_RGB16) to = r->pixels = malloc(row * (size_t)h);
  r->rows = malloc((size_t)h * sizeof *r->rows);
  if (!to || !r->rows) return fail("%s: expected memory for %ldx%ld pixels, found none left", r->path, w, h);
  for (long y = 0; y < h; y++) r->rows[y] = to + (size_t)y * row;
  return 1;
}

static int decode(Reader *r, PngAs as) {
  if (r->file.size < 8 || png_sig_cmp(r->file.data, 0, 8) != 0)
    return fail("%s: expected a PNG file, found another kind", r->path);
  r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r->text, on_error, on_warning);
  if (!r->png || !(r->info = png_create_info_struct(r->png)))
    return fail("%s: expected memory for libpng, found none left", r->path);
  if (setjmp(png_jmpbuf(r->png))) return fail("%s: expected an intact PNG file, found: %s", r->path, r->text);
  if (!start(r, as)) return 0;
  png_read_image(r->png, r->rows);
  png_read_end(r->png, NULL);
  return 1;
}

Tensor *png_read(const char *path, PngAs as) {
  Reader r = {.path = path};
  int ok = file_read(path, FILE_MAX, &r.file) && decode(&r, as);
  if (ok && as == PNG_RGB16) {
    int32_t *to = tensor_write(r.image);
    const uint16_t *from = (const uint16_t *)(const void *)r.pixels;
    for (long i = 0; i < r.image->size; i++) to[i] = from[i];
  } else if (ok && as == PNG_MASK) {
    uint8_t *at = tensor_write(r.image);
    for (long i = 0; i < r.image->size; i++) at[i] = at[i] >= 128;
  }
  png_destroy_read_struct(&r.png, &r.info, NULL);
  free(r.rows);
  free(r.pixels);
  bytes_free(&r.file);
  if (!ok) {
    tensor_release(r.image);
    return NULL;
  }
  return r.image;
}

/* ---- writing ---- */

typedef struct Writer {
  Bytes *out;
  png_structp png;
  png_infop info;
  png_bytep row; /* one row in the file's form */
  int fast;
  char text[sizeof((Reader *)0)->text];
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
  w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w->text, on_error, on_warning);
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
  if (w->fast) { /* differences to the left neighbour, and zlib's second level: measured best on smooth fields
                  */
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
