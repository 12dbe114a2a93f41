/* What readers of pictures share: how large a picture a file may claim, and the orientation that EXIF tells.
 * Of EXIF nothing else is read. */
#include "io/image.h"

#include "core/error.h"

#include <string.h>

int image_fits(const char *path, const char *kind, long width, long height, size_t bytes, double least) {
  if (height > IMAGE_PIXELS_MAX / width)
    return fail("%s: expected at most %ld pixels, found a %s of %ldx%ld", path, IMAGE_PIXELS_MAX, kind, width,
                height);
  long pixels = width * height;
  int dense = pixels > IMAGE_PIXELS_FREE && pixels / IMAGE_PIXELS_PER_BYTE > (long)bytes;
  if (dense || least > (double)bytes)
    return fail("%s: expected a %s of %ldx%ld pixels, found %zu bytes of data, too few for that", path, kind,
                width, height, bytes);
  return 1;
}

static unsigned number(const unsigned char *at, int bytes, int big) {
  unsigned value = 0;
  for (int i = 0; i < bytes; i++) value |= (unsigned)at[i] << 8 * (big ? bytes - 1 - i : i);
  return value;
}

int exif_orientation(const unsigned char *exif, size_t size) {
  enum { ORIENTATION = 0x112, SHORT = 3, LONG = 4, ENTRY = 12 };
  if (size >= 6 && memcmp(exif, "Exif\0", 6) == 0) exif += 6, size -= 6;
  if (size < 8 || (memcmp(exif, "II*", 4) != 0 && memcmp(exif, "MM\0*", 4) != 0)) return 1;
  int big = exif[0] == 'M';
  size_t at = number(exif + 4, 4, big);
  if (at > size - 2) return 1;
  unsigned entries = number(exif + at, 2, big);
  for (at += 2; entries > 0 && at + ENTRY <= size; entries--, at += ENTRY) {
    const unsigned char *entry = exif + at;
    if (number(entry, 2, big) != ORIENTATION) continue;
    unsigned type = number(entry + 2, 2, big);
    if (type != SHORT && type != LONG) return 1;
    unsigned value = number(entry + 8, type == SHORT ? 2 : 4, big);
    return value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}

/* Orientations 5 to 8 exchange x and y, the flips make up the rest. */
Tensor *image_turn(Tensor *image, int orientation) {
  if (orientation == 1) return image;
  int o = orientation;
  long h = image->shape[0], w = image->shape[1];
  long shape[RANK_MAX];
  memcpy(shape, image->shape, sizeof shape);
  shape[0] = o > 4 ? w : h;
  shape[1] = o > 4 ? h : w;
  Tensor *turned = tensor_new(image->dtype, image->rank, shape);
  char *to = turned ? tensor_write(turned) : NULL;
  const char *from = tensor_data(image);
  size_t pixel = tensor_bytes(image) / (size_t)(h * w);
  int flip_x = o == 2 || o == 3 || o == 7 || o == 8; /* of the stored columns */
  int flip_y = o == 3 || o == 4 || o == 6 || o == 7; /* of the stored rows */
  for (long y = 0; to && y < shape[0]; y++)
    for (long x = 0; x < shape[1]; x++, to += pixel) {
      long sy = o > 4 ? x : y, sx = o > 4 ? y : x;
      if (flip_x) sx = w - 1 - sx;
      if (flip_y) sy = h - 1 - sy;
      memcpy(to, from + (size_t)(sy * w + sx) * pixel, pixel);
    }
  tensor_release(image);
  if (turned && !to) {
    tensor_release(turned);
    return NULL;
  }
  return turned;
}
