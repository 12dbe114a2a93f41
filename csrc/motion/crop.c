/* Crops of turned rectangles: see crop.h. Nothing is averaged where a crop is smaller than what it shows, and samples
 * are OpenCV's (warpPerspective, bilinear): places rounded to 1/32 of a pixel, values to whole bytes. MediaPipe's
 * networks run on just these, and turn on them: rounding to bytes alone moved a palm's score from 0.54 to 0.60. */
#include "motion/crop.h"

#include "core/bilinear.h"
#include "core/error.h"
#include "core/pool.h"

#include <math.h>

enum { ROWS = 8 };              /* a chunk */
static const double STEPS = 32; /* places in a pixel */

typedef struct Crop {
  const uint8_t *image;
  float *to;
  long w, h, width, height;
  double x0, y0, xi, yi, xj, yj; /* where (0, 0) lies in the image, a step right, a step down */
  bool repeated;
} Crop;

static void sample_pixel(const Crop *c, double x, double y, float *to) {
  x = rint(x * STEPS) / STEPS;
  y = rint(y * STEPS) / STEPS;
  double fx = floor(x), fy = floor(y);
  if (!c->repeated && (x <= -1 || y <= -1 || x >= (double)c->w || y >= (double)c->h)) {
    to[0] = to[1] = to[2] = 0;
    return;
  }
  if (c->repeated) {
    x = x < 0 ? 0 : x > (double)(c->w - 1) ? (double)(c->w - 1) : x;
    y = y < 0 ? 0 : y > (double)(c->h - 1) ? (double)(c->h - 1) : y;
    fx = floor(x);
    fy = floor(y);
  }
  Bilinear b = bilinear_at((long)fx, (long)fy, (float)(x - fx), (float)(y - fy), c->w, c->h, c->w);
  if (!c->repeated) { /* what is outside weighs nothing */
    if (fx < 0) b.weight[0] = b.weight[2] = 0;
    if (fy < 0) b.weight[0] = b.weight[1] = 0;
    if ((long)fx + 1 >= c->w) b.weight[1] = b.weight[3] = 0;
    if ((long)fy + 1 >= c->h) b.weight[2] = b.weight[3] = 0;
  }
  for (int k = 0; k < 3; k++) to[k] = floorf(bilinear_bytes(&b, c->image + k, 3) + 0.5F) / 255;
}

static int crop_rows(void *arg, long chunk) {
  const Crop *c = arg;
  long end = (chunk + 1) * ROWS < c->height ? (chunk + 1) * ROWS : c->height;
  for (long j = chunk * ROWS; j < end; j++)
    for (long i = 0; i < c->width; i++)
      sample_pixel(c, c->x0 + (double)i * c->xi + (double)j * c->xj,
                   c->y0 + (double)i * c->yi + (double)j * c->yj, c->to + 3 * (j * c->width + i));
  return 1;
}

Tensor *crop_turned(const Tensor *image, const TurnedRect *r, long width, long height, bool repeated) {
  static const double FAR = 1e7; /* no rectangle of a picture is so large or lies so far away */
  if (!(fabs(r->x) < FAR && fabs(r->y) < FAR && r->width > 0 && r->height > 0 && r->width < FAR &&
        r->height < FAR && isfinite(r->angle)) ||
      image->size == 0) {
    fail("crop: expected a rectangle of a picture, found %gx%g at (%g, %g) of %s", r->width, r->height, r->x,
         r->y, tensor_text(image));
    return NULL;
  }
  Tensor *t = tensor_new(F32, 4, (long[]){1, height, width, 3});
  if (!t) return NULL;
  double cos_w = cos(r->angle) * r->width, sin_w = sin(r->angle) * r->width,
         cos_h = cos(r->angle) * r->height, sin_h = sin(r->angle) * r->height;
  Crop c = {.image = tensor_data(image),
            .to = tensor_write(t),
            .w = image->shape[1],
            .h = image->shape[0],
            .width = width,
            .height = height,
            .x0 = r->x - 0.5 * cos_w + 0.5 * sin_h,
            .y0 = r->y - 0.5 * sin_w - 0.5 * cos_h,
            .xi = cos_w / (double)width,
            .yi = sin_w / (double)width,
            .xj = -sin_h / (double)height,
            .yj = cos_h / (double)height,
            .repeated = repeated};
  if (parallel((height + ROWS - 1) / ROWS, crop_rows, &c)) return t;
  tensor_release(t);
  return NULL;
}
