/* Responsibility sharpened by the image: what moves with a hand, cut out along colours and edges. The halo of
 * estimated flow around a hand has the background's colours. After GrabCut (Rother et al. 2004): colours of
 * what is surely in and surely out are learned from the one image, weighed against the map, and brought into
 * agreement between neighbours; here by a random walker (a linear system) instead of a graph cut, so that the
 * result stays soft. */
#ifndef MOTION_SHARPEN_H
#define MOTION_SHARPEN_H

#include "core/device.h"

#include <stdint.h>

/* Sharpens the maps of all hands; where they then sum to more than 1 they are scaled down, and the background
 * takes the rest. Outside the content (left and top) all is background. A hand whose map leaves nothing
 * surely in or surely out to learn from stays as it is. Images and maps
 * are in the device's memory. Bit-equal for any number of threads. 1; 0 with a
 * message for short memory or Ctrl-C. */
int sharpen_maps(Device *device, const uint8_t *image /* h x w x 3 */, long h, long w, long content_h,
                 long content_w, int hands, const float *map /* h x w x (hands + 1) */,
                 float *out /* the same */);

#endif
