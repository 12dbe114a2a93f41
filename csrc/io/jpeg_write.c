/* JPEG files written through libjpeg-turbo; jpeg.c reads them. libjpeg reports errors by longjmp: what must be
 * freed lives in a struct that the caller of setjmp owns. */
#include "io/image.h"

#include "core/error.h"

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>

enum { SHARP = 90 }; /* the quality from which on colours keep the full resolution */

typedef struct Writer {
  struct jpeg_error_mgr errors; /* first: libjpeg hands this address back */
  jmp_buf leave;
  char text[JMSG_LENGTH_MAX];
  struct jpeg_compress_struct jpeg;
  struct jpeg_destination_mgr to;
  const Tensor *image;
  int quality;
  Bytes *out;
  JOCTET buffer[1 << 14];
} Writer;

static void on_error(j_common_ptr jpeg) {
  Writer *w = (Writer *)jpeg->err;
  jpeg->err->format_message(jpeg, w->text);
  longjmp(w->leave, 1);
}

static void on_message(j_common_ptr jpeg, int level) { (void)jpeg, (void)level; }

static void begin(j_compress_ptr jpeg) {
  Writer *w = (Writer *)jpeg->err;
  w->to.next_output_byte = w->buffer;
  w->to.free_in_buffer = sizeof w->buffer;
}

static void take(j_compress_ptr jpeg, size_t size) {
  Writer *w = (Writer *)jpeg->err;
  if (!bytes_add(w->out, w->buffer, size)) ERREXIT1(jpeg, JERR_OUT_OF_MEMORY, 0);
}

/* Asked when the buffer is full, whatever its marks say. */
static boolean flush(j_compress_ptr jpeg) {
  take(jpeg, sizeof((Writer *)jpeg->err)->buffer);
  begin(jpeg);
  return TRUE;
}

static void end(j_compress_ptr jpeg) {
  Writer *w = (Writer *)jpeg->err;
  take(jpeg, sizeof w->buffer - w->to.free_in_buffer);
}

/* Leaves by longjmp on libjpeg's errors. */
static void encode(Writer *w) {
  const Tensor *image = w->image;
  struct jpeg_compress_struct *jpeg = &w->jpeg;
  const int channels = image->rank == 3 ? (int)image->shape[2] : 1;
  jpeg_create_compress(jpeg);
  w->to.init_destination = begin, w->to.empty_output_buffer = flush, w->to.term_destination = end;
  jpeg->dest = &w->to;
  jpeg->image_height = (JDIMENSION)image->shape[0], jpeg->image_width = (JDIMENSION)image->shape[1];
  jpeg->input_components = channels, jpeg->in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(jpeg);
  jpeg_set_quality(jpeg, w->quality, TRUE);
  jpeg->optimize_coding = TRUE;
  if (w->quality >= SHARP) jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(jpeg, TRUE);
  while (jpeg->next_scanline < jpeg->image_height) {
    const uint8_t *pixels = tensor_data(image);
    JSAMPROW row = (JSAMPROW)pixels + (size_t)jpeg->next_scanline * jpeg->image_width * (size_t)channels;
    jpeg_write_scanlines(jpeg, &row, 1);
  }
  jpeg_finish_compress(jpeg);
}

/* encode, with libjpeg's way of failing turned into ours. Separate, so that no local lives across setjmp. */
static int encode_safely(Writer *w) {
  w->jpeg.err = jpeg_std_error(&w->errors);
  w->errors.error_exit = on_error;
  w->errors.emit_message = on_message;
  if (setjmp(w->leave)) return fail("jpeg: expected to write the picture, found: %s", w->text);
  encode(w);
  return 1;
}

static int check_image(const Tensor *image, int quality) {
  if (quality < 1 || quality > 100) return fail("jpeg: expected a quality of 1 to 100, found %d", quality);
  if (image->dtype != U8) return fail("jpeg: expected a uint8 picture, found %s", dtype_name[image->dtype]);
  if (image->rank != 2 && (image->rank != 3 || (image->shape[2] != 1 && image->shape[2] != 3)))
    return fail("jpeg: expected HxW, HxWx1 or HxWx3, found %s", tensor_text(image));
  if (image->size == 0 || image->shape[0] > JPEG_MAX_DIMENSION || image->shape[1] > JPEG_MAX_DIMENSION ||
      image->shape[0] * image->shape[1] > IMAGE_PIXELS_MAX)
    return fail("jpeg: expected sides of 1 to %ld and at most %ld pixels, found %s", JPEG_MAX_DIMENSION,
                IMAGE_PIXELS_MAX, tensor_text(image));
  return 1;
}

int jpeg_encode(const Tensor *image, int quality, Bytes *out) {
  *out = (Bytes){0};
  if (!check_image(image, quality)) return 0;
  Writer w = {.out = out, .image = image, .quality = quality};
  int ok = encode_safely(&w);
  jpeg_destroy_compress(&w.jpeg);
  if (!ok) bytes_free(out);
  return ok;
}

int jpeg_write(const char *path, const Tensor *image, int quality) {
  Bytes bytes;
  if (!jpeg_encode(image, quality, &bytes)) return fail("%s: %s", path, error_message());
  int ok = file_write(path, bytes.data, bytes.size);
  bytes_free(&bytes);
  return ok;
}
