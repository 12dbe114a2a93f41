/* Masks of persons from hand landmarks: a stand-in for a person segmenter, good enough to keep hands and
 * forearms out of the object class. Colours of the hand and of its surroundings are learned from the one
 * image, a spatial prior lets them grow along the fingers and from the wrist away from the fingers, and edges
 * of the image decide where both leave it open. Knows nothing of bodies, heads, or hands without landmarks; a
 * sleeve is found when its colour sets in close to the wrist; an object of skin's colour held in the hand may
 * be swallowed. */
#ifndef MOTION_PERSON_H
#define MOTION_PERSON_H

#include <stdint.h>

/* One hand. With 21 points they are MediaPipe's (0 the wrist, 1-4 thumb, 5-8, 9-12, 13-16, 17-20 fingers from
 * the knuckle to the tip), and the forearm is looked for; otherwise their convex hull is the hand, without a
 * forearm. */
typedef struct PersonHand {
  const float *points; /* count x 2, (x, y) in pixels; outside the image is allowed */
  int count;
} PersonHand;

/* mask[y][x] = 255 on the hands and their forearms, else 0. No hands: all 0. Bit-equal for any number of
 * threads. 1; 0 with a message for a bad size, a hand without points or with points that are not finite,
 * short memory, Ctrl-C. */
int person_mask(const uint8_t *image /* h x w x 3 */, long h, long w, const PersonHand *hands, int count,
                uint8_t *mask /* h x w */);

#endif
