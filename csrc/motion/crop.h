/* A turned rectangle of a picture as a picture of its own: what networks of hands look at. */
#ifndef MOTION_CROP_H
#define MOTION_CROP_H

#include "core/tensor.h"

/* In pixels of the picture: the centre, the sides, and by how much it is turned (radians, clockwise as y points
 * down). */
typedef struct TurnedRect {
  double x, y, width, height, angle;
} TurnedRect;

/* The rectangle of an image (uint8 H×W×3) at width × height, 1×height×width×3 float32, bytes over 255: pixel (i, j)
 * is sampled bilinearly at the rectangle's share (i / width, j / height), to 1/32 of a pixel. Beyond the border lies black, or, when
 * `repeated`, the nearest pixel. NULL with a message when memory is short or the rectangle is none. */
Tensor *crop_turned(const Tensor *image, const TurnedRect *r, long width, long height, bool repeated);

#endif
