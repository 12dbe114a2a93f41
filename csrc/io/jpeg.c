/* JPEG files read through libjpeg-turbo; jpeg_write.c writes them. Errors leave libjpeg by longjmp into jpeg_read's frame; what must
 * be freed lives in a struct. */
#include "io/image.h"

#include "core/error.h"
#include "io/kind.h"

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
#include <stdlib.h>
#include <string.h>

/* Each scan goes over the whole picture, however little it brings; real progressive files have about ten. */
enum { FILE_MAX = 1 << 30, SCANS_MAX = 50 };

/* Every block of 8×8 pixels takes at least a bit: the code of its mean. */
enum { PIXELS_PER_BYTE = 8 * 8 * 8 };

enum { DAMAGED = 1, TOO_MANY_SCANS };

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
  longjmp(r->leave, DAMAGED);
}

/* libjpeg fills missing data with grey and warns: for training data that is an error.
 * Harmless oddities pass. */
static void on_message(j_common_ptr jpeg, int level) {
  int code = jpeg->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
                    code == JWRN_MUST_RESYNC))
    on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg) {
  Reader *r = (Reader *)jpeg->err;
  if (r->jpeg.input_scan_number > SCANS_MAX) longjmp(r->leave, TOO_MANY_SCANS);
}

static int orientation(jpeg_saved_marker_ptr marker) {
  for (; marker; marker = marker->next)
    if (marker->data_length >= 6 && memcmp(marker->data, "Exif\0", 6) == 0)
      return exif_orientation(marker->data, marker->data_length);
  return 1;
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
  if (!image_fits(r->path, "JPEG", w, h, r->file.size, (double)w * (double)h / PIXELS_PER_BYTE)) return 0;
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
  switch (setjmp(r->leave)) {
  case 0: return decode(r, turned);
  case TOO_MANY_SCANS: return fail("%s: expected a JPEG of at most %d scans, found more", r->path, SCANS_MAX);
  default: return fail("%s: expected an intact JPEG file, found: %s", r->path, r->text);
  }
}

Tensor *jpeg_read(const char *path) {
  Reader r = {.path = path};
  int turned = 1;
  if (!file_read(path, FILE_MAX, &r.file)) return NULL;
  int ok = 0;
  if (r.file.size < 3 || memcmp(r.file.data, "\xFF\xD8\xFF", 3) != 0) {
    fail_kind_of(path, r.file.data, r.file.size, "a JPEG file");
  } else {
    ok = decode_safely(&r, &turned);
    jpeg_destroy_decompress(&r.jpeg);
  }
  bytes_free(&r.file);
  if (ok) return image_turn(r.image, turned);
  tensor_release(r.image);
  return NULL;
}
