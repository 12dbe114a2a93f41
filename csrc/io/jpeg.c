/* JPEG through libjpeg-turbo: reading only. Errors leave libjpeg by longjmp into jpeg_read's frame; what must
 * be freed lives in a struct. Knows of EXIF just the orientation. */
#include "io/image.h"

#include "core/error.h"

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 30, SCANS_MAX = 500 }; /* real progressive files have about ten scans */

typedef struct Reader {
  struct jpeg_error_mgr errors; /* first: libjpeg hands this address back */
  jmp_buf leave;
  char text[JMSG_LENGTH_MAX];
  struct jpeg_decompress_struct jpeg;
  struct jpeg_progress_mgr progress;
  const char *path;
  Bytes file;
  Tensor *image;
} Reader;

static void on_error(j_common_ptr jpeg) {
  Reader *r = (Reader *)jpeg->err;
  jpeg->err->format_message(jpeg, r->text);
  longjmp(r->leave, 1);
}

/* libjpeg fills missing data with grey and warns: for training data that is an error. Harmless oddities pass.
 */
static void on_message(j_common_ptr jpeg, int level) {
  int code = jpeg->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE))
    on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg) {
  Reader *r = (Reader *)jpeg->err;
  if (r->jpeg.input_scan_number > SCANS_MAX) {
    snprintf(r->text, sizeof r->text, "more than %d scans", SCANS_MAX);
    longjmp(r->leave, 1);
  }
}

static unsigned number(const unsigned char *at, int bytes, int big) {
  unsigned value = 0;
  for (int i = 0; i < bytes; i++) value |= (unsigned)at[i] << 8 * (big ? bytes - 1 - i : i);
  return value;
}

/* The orientation (1 .. 8, EXIF 2.3 tag 0x112) in the APP1 markers; 1 when there is none that makes sense. */
static int orientation(jpeg_saved_marker_ptr marker) {
  for (; marker; marker = marker->next) {
    const unsigned char *tiff = marker->data + 6;
    if (marker->data_length < 14 || memcmp(marker->data, "Exif\0", 6) != 0) continue;
    size_t size = marker->data_length - 6;
    int big = tiff[0] == 'M';
    size_t at = number(tiff + 4, 4, big);
    if (at > size - 2) continue;
    unsigned entries = number(tiff + at, 2, big);
    for (at += 2; entries > 0 && at + 12 <= size; entries--, at += 12) {
      unsigned value = number(tiff + at + 8, 2, big);
      if (number(tiff + at, 2, big) == 0x112) return value >= 1 && value <= 8 ? (int)value : 1;
    }
  }
  return 1;
}

/* The picture as a viewer would turn it: orientations 5 to 8 exchange x and y, the flips make up the rest. */
static Tensor *turn(const Tensor *from, int o) {
  long h = from->shape[0], w = from->shape[1];
  long shape[3] = {o > 4 ? w : h, o > 4 ? h : w, 3};
  Tensor *to = tensor_new(U8, 3, shape);
  if (!to) return NULL;
  const uint8_t *a = tensor_data(from);
  uint8_t *b = tensor_write(to);
  int flip_x = o == 2 || o == 3 || o == 7 || o == 8; /* of the stored columns */
  int flip_y = o == 3 || o == 4 || o == 6 || o == 7; /* of the stored rows */
  for (long y = 0; y < shape[0]; y++)
    for (long x = 0; x < shape[1]; x++) {
      long sy = o > 4 ? x : y, sx = o > 4 ? y : x;
      if (flip_x) sx = w - 1 - sx;
      if (flip_y) sy = h - 1 - sy;
      memcpy(b + 3 * (y * shape[1] + x), a + 3 * (sy * w + sx), 3);
    }
  return to;
}

/* Leaves by longjmp on libjpeg's errors. */
static int decode(Reader *r, int *turned) {
  struct jpeg_decompress_struct *jpeg = &r->jpeg;
  jpeg_create_decompress(jpeg);
  r->progress.progress_monitor = on_progress;
  jpeg->progress = &r->progress;
  jpeg_mem_src(jpeg, r->file.data, r->file.size);
  jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(jpeg, TRUE);
  long w = jpeg->image_width, h = jpeg->image_height;
  if (jpeg->num_components != 1 && jpeg->num_components != 3)
    return fail("%s: expected a grey or colour JPEG, found %d components (CMYK?)", r->path,
                jpeg->num_components);
  if (h > IMAGE_PIXELS_MAX / w)
    return fail("%s: expected at most %ld pixels, found a JPEG of %ldx%ld", r->path, IMAGE_PIXELS_MAX, w, h);
  jpeg->out_color_space = JCS_RGB;
  *turned = orientation(jpeg->marker_list);
  jpeg_start_decompress(jpeg);
  if (!(r->image = tensor_new(U8, 3, (long[]){h, w, 3}))) return 0;
  uint8_t *to = tensor_write(r->image);
  while (to && jpeg->output_scanline < jpeg->output_height) {
    JSAMPROW row = to + (size_t)jpeg->output_scanline * (size_t)w * 3;
    jpeg_read_scanlines(jpeg, &row, 1);
  }
  jpeg_finish_decompress(jpeg);
  return to != NULL;
}

/* decode, with libjpeg's way of failing turned into ours. Separate, so that no local lives across setjmp. */
static int decode_safely(Reader *r, int *turned) {
  r->jpeg.err = jpeg_std_error(&r->errors);
  r->errors.error_exit = on_error;
  r->errors.emit_message = on_message;
  if (setjmp(r->leave)) return fail("%s: expected an intact JPEG file, found: %s", r->path, r->text);
  return decode(r, turned);
}

Tensor *jpeg_read(const char *path) {
  Reader r = {.path = path};
  int turned = 1;
  if (!file_read(path, FILE_MAX, &r.file)) return NULL;
  int ok = 0;
  if (r.file.size < 3 || memcmp(r.file.data, "\xFF\xD8\xFF", 3) != 0) {
    fail("%s: expected a JPEG file, found another kind", path);
  } else {
    ok = decode_safely(&r, &turned);
    jpeg_destroy_decompress(&r.jpeg);
  }
  bytes_free(&r.file);
  Tensor *image = ok ? r.image : NULL;
  if (ok && turned > 1) image = turn(r.image, turned);
  if (image != r.image) tensor_release(r.image);
  return image;
}
