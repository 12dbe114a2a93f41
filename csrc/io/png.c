/* PNG files read through libpng; png_write.c writes them. libpng reports errors by longjmp: everything that
 * must be freed lives in a struct that the caller of setjmp owns. Ignores gamma and colour profiles: values
 * are taken as stored. */
#include "io/image.h"

#include "core/error.h"
#include "io/kind.h"
#include "io/mask.h"
#include "io/png_error.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { FILE_MAX = 1 << 30, DEFLATE_RATIO = 1032 }; /* deflate cannot expand more than 1032:1 */

typedef struct Reader {
  const char *path;
  Bytes file;
  size_t at;
  size_t packed; /* bytes of the picture's own chunks */
  int orientation;
  png_structp png;
  png_infop info;
  Samples samples;    /* of a mask */
  png_bytep unpacked; /* which the samples lie in */
  png_bytepp rows;
  Tensor *image;
  char text[PNG_REASON_SIZE]; /* libpng's reason */
} Reader;

void png_on_error(png_structp png, png_const_charp reason) {
  char *text = png_get_error_ptr(png);
  strncpy(text, reason, PNG_REASON_SIZE - 1);
  png_longjmp(png, 1);
}

void png_on_warning(png_structp png, png_const_charp reason) { (void)png, (void)reason; }

static void take(png_structp png, png_bytep to, png_size_t size) {
  Reader *r = png_get_io_ptr(png);
  if (size > r->file.size - r->at) png_error(png, "the file ends too early");
  memcpy(to, r->file.data + r->at, size);
  r->at += size;
}

/* Goes over the chunks (length, name, data, CRC) by itself: libpng would not tell how much of a file is the
 * picture, nor hand out an eXIf chunk behind it. A damaged eXIf chunk is as none. 0 with a message when the
 * first chunk is not the header. */
static int survey(Reader *r) {
  enum { SIGNATURE = 8, FRAME = 12 };
  const unsigned char *file = r->file.data;
  if (r->file.size >= SIGNATURE + FRAME && memcmp(file + SIGNATURE + 4, "IHDR", 4) != 0)
    return fail("%s: expected an intact PNG file, found: no header in front", r->path);
  r->orientation = 1;
  for (size_t at = SIGNATURE; r->file.size - at >= FRAME;) {
    size_t size = png_get_uint_32(file + at), left = r->file.size - at - FRAME;
    const unsigned char *name = file + at + 4, *data = name + 4;
    if (size > left) size = left; /* cut short: libpng will say so */
    if (memcmp(name, "IDAT", 4) == 0) r->packed += size;
    if (memcmp(name, "eXIf", 4) == 0 && crc32(0, name, (uInt)size + 4) == png_get_uint_32(data + size))
      r->orientation = exif_orientation(data, size);
    at += FRAME + size;
  }
  return 1;
}

/* Asks libpng for 3 channels of 8 or 16 bits, or for the samples of a mask as they are stored, in whole
 * bytes. */
static void set_transforms(Reader *r, PngAs as, int colour, int depth) {
  if (as != PNG_RGB8) png_set_swap(r->png); /* 16-bit values are big-endian in the file */
  if (as >= PNG_MASK) {
    png_set_packing(r->png);
    return;
  }
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r->png);
  if (colour == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(r->png);
  if (!(colour & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(r->png);
  png_set_strip_alpha(r->png);
  if (as == PNG_RGB8 && depth == 16) png_set_scale_16(r->png);
  if (as != PNG_RGB8 && depth < 16) png_set_expand_16(r->png);
}

/* Whether the file has the form of KITTI's flows. A flow that must be turned is none:
 * its vectors would stay. */
static int check_flow(const Reader *r, int colour, int depth) {
  static const char *wanted = "a 16-bit picture of three channels (KITTI's flow)";
  if (depth != 16) return fail("%s: expected %s, found %d bits", r->path, wanted, depth);
  if (colour != PNG_COLOR_TYPE_RGB)
    return fail("%s: expected %s, found channels: %d", r->path, wanted, png_get_channels(r->png, r->info));
  if (r->orientation != 1)
    return fail("%s: expected an upright flow, found the EXIF orientation %d", r->path, r->orientation);
  return 1;
}

/* Room for the rows, each of `row` bytes: the result itself; for 16 bits its second half, to be widened from
 * there; for a mask memory of its own. NULL with a message. */
static png_bytep make_room(Reader *r, PngAs as, long w, long h, size_t row) {
  if (as >= PNG_MASK) {
    r->unpacked = malloc(row * (size_t)h);
    if (!r->unpacked) fail_memory("%s: expected memory for %ldx%ld pixels, found none left", r->path, w, h);
    return r->unpacked;
  }
  r->image = tensor_new(as == PNG_RGB8 ? U8 : I32, 3, (long[]){h, w, 3});
  png_bytep to = r->image ? tensor_write(r->image) : NULL;
  return to && as != PNG_RGB8 ? to + row * (size_t)h : to;
}

/* Reads the header, checks the claimed size against the file, and makes room. May longjmp. */
static int start(Reader *r, PngAs as) {
  png_set_read_fn(r->png, r, take);
  png_set_user_limits(r->png, 1 << 24, 1 << 24);
  /* of all that may come besides the picture nothing is wanted: libpng would unpack compressed texts */
  png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(r->png, r->info);
  long w = png_get_image_width(r->png, r->info), h = png_get_image_height(r->png, r->info);
  int colour = png_get_color_type(r->png, r->info), depth = png_get_bit_depth(r->png, r->info);
  int channels = as >= PNG_MASK ? png_get_channels(r->png, r->info) : 3;
  double least = (double)png_get_rowbytes(r->png, r->info) * (double)h / DEFLATE_RATIO;
  if (!image_fits(r->path, "PNG", w, h, r->packed, least)) return 0;
  if (as == PNG_FLOW && !check_flow(r, colour, depth)) return 0;
  set_transforms(r, as, colour, depth);
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  int wide = as >= PNG_MASK ? depth == 16 : as != PNG_RGB8;
  size_t row = (size_t)w * (size_t)channels << wide;
  if (png_get_rowbytes(r->png, r->info) != row)
    return fail("%s: expected rows of %zu bytes, found %zu", r->path, row, png_get_rowbytes(r->png, r->info));
  png_bytep to = make_room(r, as, w, h, row);
  if (!to) return 0;
  r->samples = (Samples){.path = r->path,
                         .data = r->unpacked,
                         .width = w,
                         .height = h,
                         .channels = channels,
                         .depth = depth,
                         .alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0,
                         .palette = colour == PNG_COLOR_TYPE_PALETTE};
  if (!(r->rows = malloc((size_t)h * sizeof *r->rows)))
    return fail_memory("%s: expected memory for %ldx%ld pixels, found none left", r->path, w, h);
  for (long y = 0; y < h; y++) r->rows[y] = to + (size_t)y * row;
  return 1;
}

static int decode(Reader *r, PngAs as) {
  if (r->file.size < 8 || png_sig_cmp(r->file.data, 0, 8) != 0)
    return fail_kind_of(r->path, r->file.data, r->file.size, "a PNG file");
  if (!survey(r)) return 0;
  r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r->text, png_on_error, png_on_warning);
  if (!r->png || !(r->info = png_create_info_struct(r->png)))
    return fail("%s: expected memory for libpng, found none left", r->path);
  if (setjmp(png_jmpbuf(r->png))) return fail("%s: expected an intact PNG file, found: %s", r->path, r->text);
  if (!start(r, as)) return 0;
  png_read_image(r->png, r->rows);
  png_read_end(r->png, NULL);
  return 1;
}

/* 16-bit values in the second half of an int32 picture become the picture: what is written never overtakes
 * what is still to be read. */
static void widen(Tensor *image) {
  int32_t *to = tensor_write(image);
  const char *from = (const char *)to + image->size * 2;
  for (long i = 0; i < image->size; i++) {
    uint16_t value;
    memcpy(&value, from + 2 * i, sizeof value);
    to[i] = value;
  }
}

Tensor *png_read(const char *path, PngAs as) {
  Reader r = {.path = path};
  int ok = file_read(path, FILE_MAX, &r.file) && decode(&r, as);
  png_destroy_read_struct(&r.png, &r.info, NULL);
  free(r.rows);
  bytes_free(&r.file);
  if (ok && as >= PNG_MASK) ok = (r.image = (as == PNG_MASK ? mask_of : labels_of)(&r.samples)) != NULL;
  if (ok && (as == PNG_RGB16 || as == PNG_FLOW)) widen(r.image);
  free(r.unpacked);
  if (ok) return image_turn(r.image, r.orientation);
  tensor_release(r.image);
  return NULL;
}
