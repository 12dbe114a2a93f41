/* Pictures in files: PNG and JPEG, and resampling of pictures and maps. Channels last: H×W×C. */
#ifndef IO_IMAGE_H
#define IO_IMAGE_H

#include "core/tensor.h"
#include "io/file.h"

/* What a file may claim, by the bytes that it has: a picture of more pixels than IMAGE_PIXELS_MAX, or of more
 * than IMAGE_PIXELS_FREE (a frame of 8K) with fewer than a byte for every IMAGE_PIXELS_PER_BYTE of them, is
 * refused before any memory is taken. */
#define IMAGE_PIXELS_MAX (1L << 28)
#define IMAGE_PIXELS_FREE (1L << 25)
#define IMAGE_PIXELS_PER_BYTE 64
/* 0 with a message unless `bytes` of compressed data may hold that picture; `least` is what its format needs
 * at the very least. kind: "PNG". */
int image_fits(const char *path, const char *kind, long width, long height, size_t bytes, double least);

/* The orientation (1 .. 8, EXIF 2.3 tag 0x112) that a block of EXIF data tells, with or without "Exif" in
 * front; 1 when there is none that makes sense, as in damaged data. */
int exif_orientation(const unsigned char *exif, size_t size);
/* The picture H×W… as a viewer would turn it. Takes `image` over, and gives it back for 1. NULL when memory
 * is short. */
Tensor *image_turn(Tensor *image, int orientation);

/* What png_read makes of a file. */
typedef enum PngAs {
  PNG_RGB8, /* uint8 H×W×3: palettes resolved, fewer than 8 bits spread to the full range, 16 bits rounded to
               8, grey repeated, alpha dropped */
  PNG_RGB16, /* int32 H×W×3, 0 .. 65535: as stored in 16-bit files; what PNG_RGB8 gives of others,
              * times 257 */
  PNG_FLOW,  /* as PNG_RGB16, refused unless the file has 16 bits and three channels, unturned */
  PNG_MASK,  /* uint8 H×W, 0 or 1: see mask.h */
  PNG_LABELS /* int32 H×W: a palette's index, a grey value, else red + 256 green + 65536 blue */
} PngAs;

/* NULL with a message for a missing, truncated, corrupt or oversized file. Turned as its eXIf chunk says; all
 * other chunks but those of the picture itself are passed over unread. */
Tensor *png_read(const char *path, PngAs as);

/* A picture as the bytes of a PNG file. uint8 H×W, H×W×1 or H×W×3, `depth` 8; uint8 H×W with `depth` 1
 * (anything but 0 is white); int32 of the same shapes with `depth` 16 (0 .. 65535). 0 with a message; free
 * with bytes_free. */
int png_encode(const Tensor *image, int depth, Bytes *out);
/* The same at several times the speed, for files written by the thousand; they are a little larger. */
int png_encode_fast(const Tensor *image, int depth, Bytes *out);
/* png_encode into a file, whole or not at all. */
int png_write(const char *path, const Tensor *image, int depth);

/* uint8 H×W×3, turned as its EXIF orientation says. Refuses CMYK, and truncated data that a viewer would
 * fill. */
Tensor *jpeg_read(const char *path);

/* A picture as the bytes of a JPEG file: uint8 H×W, H×W×1 or H×W×3, quality 1 to 100; below 90 colours are kept
 * at half the resolution. 0 with a message; free with bytes_free. */
int jpeg_encode(const Tensor *image, int quality, Bytes *out);
/* jpeg_encode into a file, whole or not at all. */
int jpeg_write(const char *path, const Tensor *image, int quality);

/* Resampling onto a grid: source (x, y) goes to ((x + 0.5)·sx − 0.5, (y + 0.5)·sy − 0.5), pixel centres on
 * integers. Per axis: the average over the source area that a pixel covers where sx < 1, bilinear else;
 * beyond the border the outermost source pixels. Fills content_h×content_w at the top left of a full_h×full_w
 * result, the rest is 0. image: uint8 or float32, H×W×C or H×W; the result has its dtype, values times `gain`
 * (uint8: gain 1, rounded). */
typedef struct Grid {
  double sx, sy;
  long content_w, content_h, full_w, full_h;
  double gain;
} Grid;
Tensor *image_resample(const Tensor *image, const Grid *grid);

#endif
