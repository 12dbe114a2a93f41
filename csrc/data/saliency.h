/* A classical saliency map of one image, a baseline that knows neither hands nor motion. */
#ifndef DATA_SALIENCY_H
#define DATA_SALIENCY_H

#include <stdint.h>

/* Saliency of an RGB image (height×width×3) in [0, 1]: what differs in colour from its surroundings, at
 * several sizes, and from the image's border. Own combination of two known ideas: centre-surround contrast
 * (Itti, Koch and Niebur, 1998; Achanta and Süsstrunk, 2010) and the border as background (Wei et al., 2012).
 * 0 with a message when memory is short. */
int saliency_map(const uint8_t *rgb, long height, long width, float *out);

#endif
