/* Responsibility sharpened by the image: what moves with a hand, cut out along colours and edges. The halo of
 * estimated flow around a hand has the background's colours. After GrabCut (Rother et al. 2004): colours of
 * what is surely in and surely out are learned from the one image, weighed against the map (see prior.h), and
 * brought into agreement between neighbours, again and again. */
#ifndef MOTION_SHARPEN_H
#define MOTION_SHARPEN_H

#include "motion/responsibility.h"

#include <stdint.h>

/* How neighbours agree: by the least cut (cut.h; the result is 0 or 1 but for what several hands share), or by
 * a random walker (smooth.h; soft, and computed where the map lies). */
typedef enum Sharpen { SHARPEN_CUT, SHARPEN_WALKER, SHARPENS } Sharpen;
extern const char *const sharpen_name[SHARPENS];

/* Sharpens the maps of all hands of a scene; where they then sum to more than 1 they are scaled down, and the
 * background takes the rest. Outside the content (left and top) all is background. A hand whose map leaves
 * nothing surely in or surely out to learn from keeps its prior. Image and maps are in the memory of the scene's
 * device. Bit-equal for any number of threads. 1; 0 with a message for short memory or Ctrl-C. */
int sharpen_maps(const Scene *scene, Sharpen how, const uint8_t *image /* H×W×3 */,
                 const float *map /* H×W×(N+1) */, float *out /* the same */);

#endif
